using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>
/// The checksum of every chunk. Kept as the difference from the checksum of a chunk of zeroes, so that a table of zeroes stands for a backend
/// that was never written. Whoever changes a chunk's entry holds the chunk exclusively; readers hold it shared.
/// </summary>
internal sealed class ChecksumTable
{
    private readonly ChunkLayout _layout;
    private readonly uint[] _differences;
    private readonly ChunkBitmap _unsettled;
    private readonly uint _zeroes;
    private readonly uint _lastZeroes;

    public ChecksumTable(ChunkLayout layout)
    {
        _layout = layout;
        _differences = new uint[layout.ChunkCount];
        _unsettled = new ChunkBitmap(layout.ChunkCount);
        _zeroes = Crc32C.OfZeroes(layout.ChunkSize);
        _lastZeroes = layout.ChunkCount == 0 ? 0 : Crc32C.OfZeroes(layout.LengthOf(layout.ChunkCount - 1));
    }

    /// <summary>The entries of chunks.</summary>
    public Span<uint> Entries(long firstChunk, long count) => _differences.AsSpan((int)firstChunk, (int)count);

    /// <summary>The checksums of whole chunks, as differences.</summary>
    public void Compute(long firstChunk, ReadOnlySpan<byte> data, Span<uint> differences)
    {
        for (int i = 0; !data.IsEmpty; i++)
        {
            int length = _layout.LengthOf(firstChunk + i);
            differences[i] = Crc32C.Compute(data[..length]) ^ Zeroes(firstChunk + i);
            data = data[length..];
        }
    }

    /// <summary>Compares chunks that were read with their checksums; those whose contents are unsettled are believed.</summary>
    /// <returns>Whether any was believed, so that its checksum is new.</returns>
    /// <exception cref="BackendException">A chunk is not what was written (<see cref="BackendError.Corrupt"/>).</exception>
    public bool Verify(long firstChunk, ReadOnlySpan<byte> data)
    {
        bool anyBelieved = false;
        for (long chunk = firstChunk; !data.IsEmpty; chunk++)
        {
            int length = _layout.LengthOf(chunk);
            uint found = Crc32C.Compute(data[..length]) ^ Zeroes(chunk);

            // Asked before the checksum is read: another reader, who settles it, writes in the opposite order.
            bool believed = _unsettled[chunk];
            uint expected = Volatile.Read(ref _differences[chunk]);
            if (believed)
            {
                Volatile.Write(ref _differences[chunk], found);
                _unsettled.Clear(chunk);
                anyBelieved = true;
            }
            else if (found != expected)
            {
                throw new BackendException(
                    BackendError.Corrupt,
                    $"The {length} bytes at {_layout.OffsetOf(chunk)} are corrupt: their CRC-32C is {found ^ Zeroes(chunk):X8}, "
                    + $"not {expected ^ Zeroes(chunk):X8}; restore them from a copy, or write them anew.");
            }

            data = data[length..];
        }

        return anyBelieved;
    }

    /// <summary>Sets the checksums of chunks that were written.</summary>
    public void Set(long firstChunk, ReadOnlySpan<uint> differences)
    {
        differences.CopyTo(Entries(firstChunk, differences.Length));
        Settle(firstChunk, differences.Length);
    }

    /// <summary>Sets the checksums of chunks that were zeroed.</summary>
    public void SetZero(long firstChunk, long count)
    {
        Entries(firstChunk, count).Clear();
        Settle(firstChunk, count);
    }

    /// <summary>Notes that nobody knows whether chunks hold old or new bytes: whoever reads them next believes what is there.</summary>
    public void Unsettle(long firstChunk, long count) => _unsettled.Set(firstChunk, count);

    /// <summary>Whether the contents of any of these chunks are unsettled.</summary>
    public bool IsUnsettled(long firstChunk, long count) => _unsettled.Any(firstChunk, count);

    /// <summary>The first chunk at or after <paramref name="chunk"/> whose contents are unsettled, or -1.</summary>
    public long NextUnsettled(long chunk) => _unsettled.NextSet(chunk);

    private void Settle(long firstChunk, long count)
    {
        if (_unsettled.Any(firstChunk, count))
            _unsettled.Clear(firstChunk, count);
    }

    private uint Zeroes(long chunk) => chunk == _layout.ChunkCount - 1 ? _lastZeroes : _zeroes;
}
