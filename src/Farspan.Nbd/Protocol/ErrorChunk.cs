using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// Payload of the ERROR and ERROR_OFFSET chunks (<see cref="Offset"/> is carried by the latter only).
/// <code>
///  0  4  error, not 0
///  4  2  length of the message
///  6  n  message, UTF-8
///  …  8  offset
/// </code>
/// </summary>
internal readonly ref struct ErrorChunk
{
    public const int FixedSize = 6;
    public const int OffsetSize = 8;

    private ErrorChunk(NbdErrno error, ReadOnlySpan<byte> message, ulong offset)
    {
        Error = error;
        Message = message;
        Offset = offset;
    }

    public NbdErrno Error { get; }

    public ReadOnlySpan<byte> Message { get; }

    public ulong Offset { get; }

    /// <summary>Writes the payload and returns its length; with <paramref name="offset"/> it is that of ERROR_OFFSET.</summary>
    public static int Write(Span<byte> destination, NbdErrno error, ReadOnlySpan<byte> message, ulong? offset = null)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)error);
        BinaryPrimitives.WriteUInt16BigEndian(destination[4..], checked((ushort)message.Length));
        message.CopyTo(destination[FixedSize..]);
        int length = FixedSize + message.Length;
        if (offset is not { } value)
            return length;
        BinaryPrimitives.WriteUInt64BigEndian(destination[length..], value);
        return length + OffsetSize;
    }

    /// <summary>
    /// False where the lengths do not add up, the error is 0, or the message passes the protocol's limit. Bytes after the known fields are
    /// allowed, as the protocol says. A message that is no valid UTF-8 is left to the reader.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> source, bool hasOffset, out ErrorChunk chunk)
    {
        chunk = default;
        if (source.Length < FixedSize)
            return false;
        var error = (NbdErrno)BinaryPrimitives.ReadUInt32BigEndian(source);
        int length = BinaryPrimitives.ReadUInt16BigEndian(source[4..]);
        if (error == NbdErrno.Ok || length > NbdConstants.MaximumStringLength || source.Length < FixedSize + length + (hasOffset ? OffsetSize : 0))
            return false;
        chunk = new(error, source.Slice(FixedSize, length), hasOffset ? BinaryPrimitives.ReadUInt64BigEndian(source[(FixedSize + length)..]) : 0);
        return true;
    }
}
