using Farspan.Checksums;
using Farspan.Migration;
using Farspan.Wire.Protocol;

namespace Farspan.Tests.Wire;

/// <summary>The bytes of messages.</summary>
internal static class WireMessages
{
    /// <summary>A hello for the first export, of a new session unless one is given.</summary>
    public static byte[] Hello(WireCapabilities wishes = WireCapabilities.None, Guid? session = null)
    {
        byte[] bytes = new byte[ClientHello.Size];
        new ClientHello(1, 1, wishes, session ?? Guid.NewGuid(), 0, 0, 0).Write(bytes);
        return bytes;
    }

    /// <summary>A server's answer to it, for an export of 1 MiB.</summary>
    public static byte[] Answer(bool hasChecksums)
    {
        byte[] bytes = new byte[ServerHello.Size];
        Description(hasChecksums).Write(bytes);
        return bytes;
    }

    public static ServerHello Description(bool hasChecksums)
        => new(
            1, WireStatus.Done, WireCapabilities.Extents | (hasChecksums ? WireCapabilities.PayloadChecksums : 0), Guid.NewGuid(), 1 << 20, 1, 4096,
            1 << 20, 1 << 20, 64, 1, 30_000, 0, 0);

    public static byte[] Request(WireOperation operation, long offset = 0, long length = 0, uint id = 0, long epoch = 0, ushort flags = 0)
    {
        byte[] bytes = new byte[WireFrame.Size];
        new WireFrame(operation, flags, id, 0, epoch, offset, length, 0).WriteRequest(bytes);
        return bytes;
    }

    public static byte[] Write(long offset, byte[] data, uint id = 9)
    {
        byte[] bytes = new byte[WireFrame.Size + data.Length];
        new WireFrame(WireOperation.Write, 0, id, data.Length, 0, offset, data.Length, Crc32C.Compute(data)).WriteRequest(bytes);
        data.CopyTo(bytes, WireFrame.Size);
        return bytes;
    }

    public static byte[] Acquire(Guid key, string holder, uint id = 0)
    {
        byte[] payload = new LeaseRequest(key, holder).ToBytes();
        byte[] bytes = new byte[WireFrame.Size + payload.Length];
        new WireFrame(WireOperation.LeaseAcquire, 0, id, payload.Length, 0, 0, 0, Crc32C.Compute(payload)).WriteRequest(bytes);
        payload.CopyTo(bytes, WireFrame.Size);
        return bytes;
    }

    /// <summary>A request about a region that is being moved.</summary>
    public static byte[] Move(WireOperation operation, SeederRequest ask, long offset = 0, long length = 0, uint id = 0, int flags = 0)
        => Move(operation, MoveRequest.ToBytes(ask), offset, length, id, flags);

    public static byte[] Move(WireOperation operation, byte[] payload, long offset = 0, long length = 0, uint id = 0, int flags = 0)
    {
        byte[] bytes = new byte[WireFrame.Size + payload.Length];
        new WireFrame(operation, (ushort)flags, id, payload.Length, 0, offset, length, Crc32C.Compute(payload)).WriteRequest(bytes);
        payload.CopyTo(bytes, WireFrame.Size);
        return bytes;
    }

    /// <summary>What a server says of a region of 1 MiB in chunks of 4 KiB.</summary>
    public static ServerHello Region(bool hasChecksums)
        => Description(hasChecksums) with
        {
            Capabilities = WireCapabilities.ReadOnly | WireCapabilities.Moving | (hasChecksums ? WireCapabilities.PayloadChecksums : 0),
        };

    public static byte[] Goodbye() => Request(WireOperation.Goodbye);

    public static byte[] Reply(WireOperation operation, uint id, byte[] payload, WireStatus status = WireStatus.Done)
    {
        byte[] bytes = new byte[WireFrame.Size + payload.Length];
        uint checksum = payload.Length == 0 ? 0 : Crc32C.Compute(payload);
        new WireFrame(operation, (ushort)status, id, payload.Length, 0, 0, payload.Length, checksum).WriteReply(bytes);
        payload.CopyTo(bytes, WireFrame.Size);
        return bytes;
    }
}
