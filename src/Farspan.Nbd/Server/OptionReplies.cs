using System.Buffers;
using System.Text;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>Collects the bytes of the replies to one option.</summary>
internal sealed class OptionReplies
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    public ReadOnlySpan<byte> Written => _bytes.WrittenSpan;

    public void Clear() => _bytes.ResetWrittenCount();

    public void Acknowledge(NbdOption option) => Add(option, NbdOptionReply.Ack, 0);

    public void Refuse(NbdOption option, NbdOptionReply type, string message)
    {
        int length = Encoding.UTF8.GetByteCount(message);
        Encoding.UTF8.GetBytes(message, Add(option, type, length));
    }

    /// <summary>Adds the header of a reply and returns the place of its data.</summary>
    public Span<byte> Add(NbdOption option, NbdOptionReply type, int length)
    {
        var reply = _bytes.GetSpan(OptionReplyHeader.Size + length)[..(OptionReplyHeader.Size + length)];
        new OptionReplyHeader(option, type, (uint)length).Write(reply);
        _bytes.Advance(reply.Length);
        return reply[OptionReplyHeader.Size..];
    }

    /// <summary>Adds bytes without a header (the answer to EXPORT_NAME), cleared.</summary>
    public Span<byte> AddBare(int length)
    {
        var bytes = _bytes.GetSpan(length)[..length];
        bytes.Clear();
        _bytes.Advance(length);
        return bytes;
    }
}
