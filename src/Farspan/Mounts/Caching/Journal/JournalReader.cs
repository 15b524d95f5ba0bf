using System.Buffers.Binary;
using Farspan.Checksums;

namespace Farspan.Mounts.Caching.Journal;

/// <summary>Reads the frames of a journal one after another, in blocks; memory stays at the longest frame whatever the bytes say.</summary>
internal sealed class JournalReader(ICacheFile file, long generation, long offset)
{
    private const int BufferLength = FrameHeader.Size + FrameHeader.LongestPayload;

    private readonly long _length = file.Length;
    private readonly byte[] _buffer = new byte[Math.Min(BufferLength, Math.Max(FrameHeader.Size, file.Length))];
    private long _bufferStart;
    private int _bufferLength;
    private long _sequence = 1;

    /// <summary>Where the next frame begins: the end of the frames read.</summary>
    public long Offset { get; private set; } = offset;

    /// <summary>The header of the frame read last.</summary>
    public FrameHeader Header { get; private set; }

    /// <summary>The records of the frame read last, until the next is read.</summary>
    public ReadOnlyMemory<byte> Payload { get; private set; }

    /// <summary>Reads the next frame.</summary>
    public async ValueTask<FrameStatus> ReadAsync()
    {
        long left = _length - Offset;
        if (left == 0)
            return FrameStatus.End;
        if (left < FrameHeader.Size)
            return FrameStatus.Short;
        if (!FrameHeader.TryRead((await BytesAsync(Offset, FrameHeader.Size)).Span, generation, out var header) || header.Sequence != _sequence)
            return FrameStatus.Damaged;
        if (left - FrameHeader.Size < header.Length)
            return FrameStatus.Short;
        var payload = (await BytesAsync(Offset, FrameHeader.Size + header.Length))[FrameHeader.Size..];
        if (Crc32C.Compute(payload.Span) != header.Checksum)
            return FrameStatus.Damaged;
        Header = header;
        Payload = payload;
        Offset += FrameHeader.Size + header.Length;
        _sequence++;
        return FrameStatus.Read;
    }

    /// <summary>
    /// Whether a frame after the ones read says that more than those was durable: then what could not be read is damage, and not the end that a
    /// loss of power left.
    /// </summary>
    public async ValueTask<bool> IsMissingDurableFrameAsync()
    {
        for (long at = Offset; at <= _length - FrameHeader.Size;)
        {
            int count = (int)Math.Min(_buffer.Length, _length - at);
            var bytes = await BytesAsync(at, count);
            if (FindProof(bytes.Span))
                return true;
            at += (count - FrameHeader.Size + 4) & ~3;
        }

        return false;
    }

    private bool FindProof(ReadOnlySpan<byte> bytes)
    {
        for (int i = 0; i <= bytes.Length - FrameHeader.Size; i += 4)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[i..]) == FrameHeader.Magic
                && FrameHeader.TryRead(bytes[i..], generation, out var header) && header.SyncedLength > Offset)
            {
                return true;
            }
        }

        return false;
    }

    private async ValueTask<ReadOnlyMemory<byte>> BytesAsync(long at, int count)
    {
        if (at < _bufferStart || at + count > _bufferStart + _bufferLength)
        {
            _bufferLength = 0;
            int wanted = (int)Math.Min(_buffer.Length, _length - at);
            await file.ReadAsync(at, _buffer.AsMemory(0, wanted));
            _bufferStart = at;
            _bufferLength = wanted;
        }

        return _buffer.AsMemory((int)(at - _bufferStart), count);
    }
}
