using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>One place for a request on a connection. It outlives a caller who gave up: the reply is then read past. Under the link's gate.</summary>
internal sealed class WireSlot(WireLane lane, int index)
{
    private const int IndexBits = 11;

    private uint _use;

    public WireLane Lane => lane;

    public int Index => index;

    /// <summary>The number of its use and its index; what the server sends back.</summary>
    public uint Id { get; private set; }

    public bool IsActive { get; set; }

    /// <summary>Whether the request was sent: before, no reply can be its.</summary>
    public bool IsSent { get; set; }

    public WireRequest? Request { get; set; }

    public WireOperation Operation { get; private set; }

    public long Length { get; private set; }

    public int ExtentLimit { get; private set; }

    public int LeastPayload { get; private set; }

    public int MostPayload { get; private set; }

    public static int IndexOf(uint id) => (int)(id & ((1 << IndexBits) - 1));

    public void Begin(WireRequest request)
    {
        Id = (++_use << IndexBits) | (uint)index;
        IsActive = true;
        IsSent = false;
        Request = request;
        request.Slot = this;
        Operation = request.Operation;
        Length = request.Length;
        ExtentLimit = request.Answer?.ExtentLimit ?? 0;
        LeastPayload = request.Answer?.LeastPayload ?? 0;
        MostPayload = request.Answer?.MostPayload ?? 0;
    }

    /// <summary>Whether a reply with this many bytes of payload can be the one to the request.</summary>
    public bool Expects(in WireFrame reply)
    {
        if (!IsActive || !IsSent || reply.Id != Id || reply.Operation != Operation)
            return false;
        if (reply.Status != WireStatus.Done)
            return reply.PayloadLength <= WireLimits.MaximumMessage;
        return Operation switch
        {
            WireOperation.Read => reply.PayloadLength == Length,
            WireOperation.Extents => reply.PayloadLength % ExtentRecord.Size == 0 && reply.PayloadLength <= ExtentLimit * ExtentRecord.Size,
            _ => reply.PayloadLength >= LeastPayload && reply.PayloadLength <= MostPayload,
        };
    }
}
