using System.Buffers.Binary;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>Writes the fixed part of replies in the form that was negotiated; each method returns how many bytes it wrote.</summary>
internal static class ReplyFormat
{
    /// <summary>The largest of what is written here.</summary>
    public const int LargestHead = ChunkHeader.ExtendedSize + HoleChunk.Size;

    /// <summary>Success without data; for a structured READ, the chunk that ends it.</summary>
    public static int Success(Span<byte> destination, HeaderMode mode, in RequestHeader request)
    {
        if (mode == HeaderMode.Extended || (mode == HeaderMode.Structured && request.Command == NbdCommand.Read))
            return Chunk(destination, mode, request, NbdChunkFlags.Done, NbdChunkType.None, 0);
        new SimpleReplyHeader(NbdErrno.Ok, request.Cookie).Write(destination);
        return SimpleReplyHeader.Size;
    }

    /// <summary>What stands before <paramref name="length"/> bytes of data.</summary>
    public static int DataHead(Span<byte> destination, HeaderMode mode, in RequestHeader request, ulong offset, int length, bool done)
    {
        if (mode == HeaderMode.Simple)
        {
            new SimpleReplyHeader(NbdErrno.Ok, request.Cookie).Write(destination);
            return SimpleReplyHeader.Size;
        }

        int size = Chunk(
            destination, mode, request, done ? NbdChunkFlags.Done : NbdChunkFlags.None, NbdChunkType.OffsetData, sizeof(ulong) + (ulong)length);
        BinaryPrimitives.WriteUInt64BigEndian(destination[size..], offset);
        return size + sizeof(ulong);
    }

    public static int Hole(Span<byte> destination, HeaderMode mode, in RequestHeader request, ulong offset, uint length)
    {
        int size = Chunk(destination, mode, request, NbdChunkFlags.None, NbdChunkType.OffsetHole, HoleChunk.Size);
        new HoleChunk(offset, length).Write(destination[size..]);
        return size + HoleChunk.Size;
    }

    /// <summary>A chunk's header alone.</summary>
    public static int Chunk(
        Span<byte> destination, HeaderMode mode, in RequestHeader request, NbdChunkFlags flags, NbdChunkType type, ulong length)
    {
        bool extended = mode == HeaderMode.Extended;
        new ChunkHeader(flags, type, request.Cookie, request.Offset, length).Write(destination, extended);
        return extended ? ChunkHeader.ExtendedSize : ChunkHeader.StructuredSize;
    }

    public static int ErrorSize(HeaderMode mode, int messageLength, bool hasOffset) => mode switch
    {
        HeaderMode.Simple => SimpleReplyHeader.Size,
        HeaderMode.Structured => ChunkHeader.StructuredSize + ErrorChunk.FixedSize + messageLength + (hasOffset ? ErrorChunk.OffsetSize : 0),
        _ => ChunkHeader.ExtendedSize + ErrorChunk.FixedSize + messageLength + (hasOffset ? ErrorChunk.OffsetSize : 0),
    };

    /// <summary>An error; with an offset it speaks of a part of a READ whose end comes in a later chunk.</summary>
    public static int Error(
        Span<byte> destination, HeaderMode mode, in RequestHeader request, NbdErrno error, ReadOnlySpan<byte> message, ulong? offset = null)
    {
        if (mode == HeaderMode.Simple)
        {
            new SimpleReplyHeader(error, request.Cookie).Write(destination);
            return SimpleReplyHeader.Size;
        }

        int payload = ErrorChunk.FixedSize + message.Length + (offset is null ? 0 : ErrorChunk.OffsetSize);
        int size = Chunk(
            destination, mode, request, offset is null ? NbdChunkFlags.Done : NbdChunkFlags.None,
            offset is null ? NbdChunkType.Error : NbdChunkType.ErrorOffset, (ulong)payload);
        return size + ErrorChunk.Write(destination[size..], error, message, offset);
    }
}
