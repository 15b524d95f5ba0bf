using System.Buffers.Binary;
using System.Text;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Tests.Client;

/// <summary>Messages of a server, byte by byte.</summary>
internal static class ServerBytes
{
    public static byte[] Greeting(NbdHandshakeFlags flags = NbdHandshakeFlags.FixedNewstyle | NbdHandshakeFlags.NoZeroes)
    {
        byte[] bytes = new byte[ServerGreeting.Size];
        new ServerGreeting(flags).Write(bytes);
        return bytes;
    }

    public static byte[] Reply(NbdOption option, NbdOptionReply type, params byte[] data)
    {
        byte[] bytes = new byte[OptionReplyHeader.Size + data.Length];
        new OptionReplyHeader(option, type, (uint)data.Length).Write(bytes);
        data.CopyTo(bytes, OptionReplyHeader.Size);
        return bytes;
    }

    public static byte[] ContextReply(NbdOption option, uint id, string name)
    {
        byte[] text = Encoding.UTF8.GetBytes(name);
        byte[] data = new byte[4 + text.Length];
        MetaContextReply.Write(data, id, text);
        return Reply(option, NbdOptionReply.MetaContext, data);
    }

    public static byte[] ExportReply(NbdOption option, ulong size, NbdTransmissionFlags flags)
    {
        byte[] data = new byte[2 + ExportSummary.Size];
        BinaryPrimitives.WriteUInt16BigEndian(data, (ushort)NbdInfo.Export);
        new ExportSummary(size, flags).Write(data.AsSpan(2));
        return Reply(option, NbdOptionReply.Info, data);
    }

    public static byte[] BlockReply(NbdOption option, uint minimum, uint preferred, uint maximum)
    {
        byte[] data = new byte[2 + BlockSizeInfo.Size];
        BinaryPrimitives.WriteUInt16BigEndian(data, (ushort)NbdInfo.BlockSize);
        new BlockSizeInfo(minimum, preferred, maximum).Write(data.AsSpan(2));
        return Reply(option, NbdOptionReply.Info, data);
    }

    public static byte[] ListReply(string name, string description = "")
    {
        byte[] nameBytes = Encoding.UTF8.GetBytes(name);
        byte[] text = Encoding.UTF8.GetBytes(description);
        byte[] data = new byte[ExportListing.FixedSize + nameBytes.Length + text.Length];
        ExportListing.Write(data, nameBytes, text);
        return Reply(NbdOption.List, NbdOptionReply.Server, data);
    }

    public static byte[] Simple(ulong cookie, NbdErrno error = NbdErrno.Ok, ReadOnlySpan<byte> data = default)
    {
        byte[] bytes = new byte[SimpleReplyHeader.Size + data.Length];
        new SimpleReplyHeader(error, cookie).Write(bytes);
        data.CopyTo(bytes.AsSpan(SimpleReplyHeader.Size));
        return bytes;
    }

    public static byte[] Chunk(
        ulong cookie, NbdChunkType type, ReadOnlySpan<byte> payload, bool isDone = true, ulong? extendedOffset = null, ulong? length = null)
    {
        bool extended = extendedOffset is not null;
        int size = extended ? ChunkHeader.ExtendedSize : ChunkHeader.StructuredSize;
        byte[] bytes = new byte[size + payload.Length];
        new ChunkHeader(isDone ? NbdChunkFlags.Done : NbdChunkFlags.None, type, cookie, extendedOffset ?? 0, length ?? (ulong)payload.Length)
            .Write(bytes, extended);
        payload.CopyTo(bytes.AsSpan(size));
        return bytes;
    }

    public static byte[] DataChunk(ulong cookie, ulong offset, ReadOnlySpan<byte> data, bool isDone = true, ulong? extendedOffset = null)
    {
        byte[] payload = new byte[8 + data.Length];
        BinaryPrimitives.WriteUInt64BigEndian(payload, offset);
        data.CopyTo(payload.AsSpan(8));
        return Chunk(cookie, NbdChunkType.OffsetData, payload, isDone, extendedOffset);
    }

    public static byte[] HoleChunk(ulong cookie, ulong offset, uint length, bool isDone = true, ulong? extendedOffset = null)
    {
        byte[] payload = new byte[12];
        new Nbd.Protocol.HoleChunk(offset, length).Write(payload);
        return Chunk(cookie, NbdChunkType.OffsetHole, payload, isDone, extendedOffset);
    }

    public static byte[] ErrorChunk(ulong cookie, NbdErrno error, string text = "", ulong? offset = null, bool isDone = true, ulong? extendedOffset = null)
    {
        byte[] payload = new byte[64 + text.Length];
        int length = Nbd.Protocol.ErrorChunk.Write(payload, error, Encoding.UTF8.GetBytes(text), offset);
        return Chunk(cookie, offset is null ? NbdChunkType.Error : NbdChunkType.ErrorOffset, payload.AsSpan(0, length), isDone, extendedOffset);
    }

    public static byte[] StatusChunk(
        ulong cookie, uint context, (ulong Length, ulong Flags)[] extents, bool isDone = true, ulong? extendedOffset = null)
    {
        bool extended = extendedOffset is not null;
        int head = BlockStatusChunk.HeadSize(extended);
        int each = BlockStatusChunk.DescriptorSize(extended);
        byte[] payload = new byte[head + (each * extents.Length)];
        BlockStatusChunk.WriteHead(payload, extended, context, extents.Length);
        for (int i = 0; i < extents.Length; i++)
            BlockStatusChunk.WriteDescriptor(payload.AsSpan(head + (i * each)), extended, extents[i].Length, extents[i].Flags);
        return Chunk(cookie, extended ? NbdChunkType.BlockStatusExtended : NbdChunkType.BlockStatus, payload, isDone, extendedOffset);
    }

    /// <summary>The plainest right answer to a request.</summary>
    public static byte[] Answer(RequestHeader request, ReadOnlySpan<byte> data, NbdErrno error, bool structured, bool extended)
    {
        ulong? offset = extended ? request.Offset : null;
        if (!structured)
            return Simple(request.Cookie, error, error == NbdErrno.Ok ? data : default);
        if (error != NbdErrno.Ok)
            return ErrorChunk(request.Cookie, error, extendedOffset: offset);
        return request.Command == NbdCommand.Read
            ? DataChunk(request.Cookie, request.Offset, data, extendedOffset: offset)
            : Chunk(request.Cookie, NbdChunkType.None, [], extendedOffset: offset);
    }
}
