using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Farspan.Backends;
using Farspan.Checksums;

namespace Farspan.Cli.Demo;

/// <summary>
/// A generated file with an index and checksums, for machines without SQLite or without FUSE. It is read and written by this program itself,
/// through a mounted file or through the NBD client.
/// </summary>
/// <remarks>
/// Blocks of 4 KiB, each ending in the CRC-32C of what stands before it, little-endian:
/// <code>
/// block 0        number of rows; then the smallest serial of each leaf's first row, by leaf
/// blocks 1..L    leaves: the serials of 256 rows
/// the rest       rows: serial, length of the note, note (128 bytes), raw bytes
/// </code>
/// Serials grow with the row's number, so that a look-up reads three blocks: the root, a leaf, the row.
/// </remarks>
internal sealed class BlockData(BackendRegistry registry, bool usesUri) : IDemoData
{
    private const int BlockSize = 4096;
    private const int RowsPerLeaf = 256;
    private const int LongestNote = 128;
    private const int Payload = BlockSize - sizeof(uint);

    /// <inheritdoc/>
    public string Description => "a generated file with an index and checksums";

    /// <inheritdoc/>
    public string FileName => "readings.blocks";

    /// <inheritdoc/>
    public bool UsesUri => usesUri;

    /// <inheritdoc/>
    public long RowCount { get; private set; }

    private long LeafCount => (RowCount + RowsPerLeaf - 1) / RowsPerLeaf;

    /// <inheritdoc/>
    public async Task CreateAsync(string path, long length, CancellationToken cancellationToken)
    {
        // The root holds one serial a leaf.
        RowCount = Math.Min(length / BlockSize, (Payload / sizeof(long) - 1) * RowsPerLeaf);
        await using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 20);
        byte[] block = new byte[BlockSize];
        BinaryPrimitives.WriteInt64LittleEndian(block, RowCount);
        for (long leaf = 0; leaf < LeafCount; leaf++)
            BinaryPrimitives.WriteInt64LittleEndian(block.AsSpan((int)(leaf + 1) * sizeof(long)), SerialOf(leaf * RowsPerLeaf));
        file.Write(Seal(block));
        for (long leaf = 0; leaf < LeafCount; leaf++)
        {
            block.AsSpan().Clear();
            for (int i = 0; i < RowsPerLeaf; i++)
                BinaryPrimitives.WriteInt64LittleEndian(block.AsSpan(i * sizeof(long)), SerialOf(leaf * RowsPerLeaf + i));
            file.Write(Seal(block));
        }

        var random = new Random(1);
        for (long row = 0; row < RowCount; row++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            random.NextBytes(block);
            SetRow(block, SerialOf(row), "as measured");
            file.Write(Seal(block));
        }
    }

    /// <inheritdoc/>
    public async Task<string> LookUpAsync(string location, IEnumerable<long> serials, CancellationToken cancellationToken)
    {
        await using var backend = await OpenAsync(location, readOnly: true, cancellationToken);
        var lines = new StringBuilder();
        byte[] block = new byte[BlockSize];
        foreach (long serial in serials)
        {
            long at = await FindAsync(backend, serial, block, cancellationToken);
            await ReadAsync(backend, at, block, cancellationToken);
            lines.Append(CultureInfo.InvariantCulture, $"{BinaryPrimitives.ReadInt64LittleEndian(block)}|{Note(block)}\n");
        }

        return lines.ToString();
    }

    /// <inheritdoc/>
    public async Task<string> SumAsync(string location, long firstRow, int count, CancellationToken cancellationToken)
    {
        await using var backend = await OpenAsync(location, readOnly: true, cancellationToken);
        byte[] blocks = new byte[count * BlockSize];
        await backend.ReadAsync(RowOffset(firstRow), blocks, cancellationToken);
        long sum = 0;
        for (int i = 0; i < count; i++)
        {
            var block = blocks.AsMemory(i * BlockSize, BlockSize);
            Verify(block.Span, RowOffset(firstRow + i));
            sum += BinaryPrimitives.ReadInt64LittleEndian(block.Span);
        }

        return string.Create(CultureInfo.InvariantCulture, $"{count}|{sum}\n");
    }

    /// <inheritdoc/>
    public async Task ChangeAsync(string location, long serial, string text, CancellationToken cancellationToken)
    {
        await using var backend = await OpenAsync(location, readOnly: false, cancellationToken);
        byte[] block = new byte[BlockSize];
        long at = await FindAsync(backend, serial, block, cancellationToken);
        await ReadAsync(backend, at, block, cancellationToken);
        SetRow(block, BinaryPrimitives.ReadInt64LittleEndian(block), text);
        Seal(block);
        await backend.WriteAsync(at, block, cancellationToken);
        await backend.FlushAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<string> CheckAsync(string location, CancellationToken cancellationToken)
    {
        await using var backend = await OpenAsync(location, readOnly: true, cancellationToken);
        byte[] blocks = new byte[256 * BlockSize];
        long length = RowOffset(RowCount);
        for (long at = 0; at < length; at += blocks.Length)
        {
            int count = (int)Math.Min(blocks.Length, length - at);
            await backend.ReadAsync(at, blocks.AsMemory(0, count), cancellationToken);
            for (int i = 0; i < count; i += BlockSize)
                Verify(blocks.AsSpan(i, BlockSize), at + i);
        }

        return $"all {length / BlockSize} checksums are right";
    }

    // Rows' serials grow by 7919, so that most numbers are no serial.
    private static long SerialOf(long row) => row * 7919 + 13;

    private static ReadOnlySpan<byte> Seal(byte[] block)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(Payload), Crc32C.Compute(block.AsSpan(0, Payload)));
        return block;
    }

    private static void Verify(ReadOnlySpan<byte> block, long offset)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(block[Payload..]) != Crc32C.Compute(block[..Payload]))
            throw new CommandException($"the data are damaged: the checksum of the block at {offset} is wrong");
    }

    private static void SetRow(byte[] block, long serial, string note)
    {
        BinaryPrimitives.WriteInt64LittleEndian(block, serial);
        BinaryPrimitives.WriteInt32LittleEndian(block.AsSpan(8), Encoding.UTF8.GetBytes(note, block.AsSpan(12, LongestNote)));
    }

    private static string Note(byte[] block)
        => Encoding.UTF8.GetString(block.AsSpan(12, Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(block.AsSpan(8)), 0, LongestNote)));

    private static async ValueTask ReadAsync(IBackend backend, long offset, byte[] block, CancellationToken cancellationToken)
    {
        await backend.ReadAsync(offset, block, cancellationToken);
        Verify(block, offset);
    }

    private async ValueTask<long> FindAsync(IBackend backend, long row, byte[] block, CancellationToken cancellationToken)
    {
        long serial = SerialOf(row);
        await ReadAsync(backend, 0, block, cancellationToken);
        long leaf = LastNotAbove(block.AsSpan(sizeof(long)), (int)LeafCount, serial);
        await ReadAsync(backend, (1 + leaf) * BlockSize, block, cancellationToken);
        int within = LastNotAbove(block, RowsPerLeaf, serial);
        return RowOffset(leaf * RowsPerLeaf + within);
    }

    private static int LastNotAbove(ReadOnlySpan<byte> serials, int count, long serial)
    {
        int low = 0;
        int high = count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (BinaryPrimitives.ReadInt64LittleEndian(serials[(middle * sizeof(long))..]) <= serial)
                low = middle;
            else
                high = middle - 1;
        }

        return low;
    }

    private long RowOffset(long row) => (1 + LeafCount + row) * BlockSize;

    // Nobody else writes: the server's own lock on the file must not keep the check out, nor this one the server.
    private ValueTask<IBackend> OpenAsync(string location, bool readOnly, CancellationToken cancellationToken)
        => registry.OpenAsync(
            location.Contains("://", StringComparison.Ordinal) ? location : $"file:{location}?lock=off",
            new BackendOpenOptions { ReadOnly = readOnly }, cancellationToken);
}
