using System.Buffers;
using System.Buffers.Binary;
using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>The checksums of a <see cref="ChecksumStage"/> in a backend of their own.</summary>
/// <remarks>
/// <code>
/// page 0     header: 8 bytes "FSCHKSM\x01", u32 chunk size, u32 zero, u64 length of the backend, u32 CRC-32C of these 24 bytes
/// pages 1…   one byte for each table page: 1 while chunks under it are being written
/// then       the table: u32 for each chunk, the XOR of its CRC-32C and that of as many zeroes; 1024 in a page
/// </code>
/// All numbers are little endian, a page has 4 KiB, and what was never written is zero.
/// </remarks>
internal sealed class ChecksumSide
{
    public const int PageSize = 4096;
    public const int EntriesPerPage = PageSize / sizeof(uint);

    private const int HeaderSize = 28;

    private readonly IBackend _side;
    private readonly ChunkLayout _layout;
    private readonly ChecksumTable _table;
    private readonly ChunkBitmap _marked;
    private readonly ChunkBitmap _changed;
    private readonly byte[] _marks;
    private readonly ChunkRangeLock _lock = new();
    private readonly int _run;

    private ChecksumSide(IBackend side, ChunkLayout layout, ChecksumTable table)
    {
        _side = side;
        _layout = layout;
        _table = table;
        long pages = PageCount(layout.ChunkCount);
        _marked = new ChunkBitmap(pages);
        _changed = new ChunkBitmap(pages);
        _marks = new byte[MarkPages(pages) * PageSize];
        _run = Math.Min(64, (side.GetCapability<IBlockSizes>()?.BlockSizes ?? BlockSizes.Default).Maximum / PageSize) * PageSize;
    }

    private long TableOffset => PageSize + _marks.Length;

    public static long LengthFor(ChunkLayout layout)
    {
        long pages = PageCount(layout.ChunkCount);
        return PageSize * (1 + MarkPages(pages) + pages);
    }

    /// <summary>Reads the checksums; false with <paramref name="side"/> ready for use where none were stored yet.</summary>
    public static async ValueTask<(ChecksumSide Side, bool IsNew)> OpenAsync(
        IBackend side, ChunkLayout layout, ChecksumTable table, CancellationToken cancellationToken)
    {
        var opened = new ChecksumSide(side, layout, table);
        var header = new byte[PageSize];
        await side.ReadAsync(0, header, cancellationToken);
        if (!header.AsSpan().ContainsAnyExcept((byte)0))
            return (opened, true);
        opened.CheckHeader(header);
        await opened.LoadAsync(cancellationToken);
        return (opened, false);
    }

    /// <summary>Makes the checksums as they now are the stored ones, for the first time.</summary>
    public async ValueTask CreateAsync(CancellationToken cancellationToken)
    {
        _changed.Set(0, _changed.ChunkCount);
        await FlushAsync(cancellationToken);
        var header = new byte[PageSize];
        WriteHeader(header);
        await _side.WriteAsync(0, header, cancellationToken);
        await _side.FlushAsync(cancellationToken);
    }

    /// <summary>Makes it durable, before chunks are written, that a crash from now on leaves their checksums in doubt.</summary>
    public ValueTask MarkAsync(long firstChunk, long lastChunk, CancellationToken cancellationToken)
    {
        long first = firstChunk / EntriesPerPage;
        long last = lastChunk / EntriesPerPage;
        for (long page = first; page <= last; page++)
        {
            if (!_marked[page])
                return MarkPagesAsync(first, last, cancellationToken);
        }

        return default;
    }

    /// <summary>Notes that checksums have changed, to be stored with the next flush.</summary>
    public void Change(long firstChunk, long lastChunk)
    {
        long first = firstChunk / EntriesPerPage;
        _changed.Set(first, (lastChunk / EntriesPerPage) - first + 1);
    }

    /// <summary>Stores the checksums that have changed.</summary>
    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        var hold = await _lock.AcquireAsync(0, 0, exclusive: true, cancellationToken);
        var pages = _changed.TakeAll();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(PageSize);
        try
        {
            for (long page = pages.NextSet(0); page >= 0; page = pages.NextSet(page + 1))
            {
                WritePage(page, buffer);
                await _side.WriteAsync(TableOffset + (page * PageSize), buffer.AsMemory(0, PageSize), cancellationToken);
            }

            await _side.FlushAsync(cancellationToken);
        }
        catch
        {
            foreach (long page in pages.SetChunks())
                _changed.Set(page);
            throw;
        }
        finally
        {
            _lock.Release(hold);
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Takes the marks back, where nothing is in doubt; the data and the checksums must be durable.</summary>
    public async ValueTask SettleAsync(CancellationToken cancellationToken)
    {
        if (_marked.IsEmpty)
            return;
        for (long page = 0; page < _marked.ChunkCount; page++)
            _marks[page] = _table.IsUnsettled(page * EntriesPerPage, EntriesOf(page)) ? (byte)1 : (byte)0;
        for (int done = 0; done < _marks.Length; done += _run)
            await _side.WriteAsync(PageSize + done, _marks.AsMemory(done, Math.Min(_run, _marks.Length - done)), cancellationToken);
        await _side.FlushAsync(cancellationToken);
        _marked.TakeAll();
    }

    public ValueTask DisposeAsync() => _side.DisposeAsync();

    private static long PageCount(long chunkCount) => (chunkCount + EntriesPerPage - 1) / EntriesPerPage;

    private static long MarkPages(long pages) => (pages + PageSize - 1) / PageSize;

    private async ValueTask MarkPagesAsync(long first, long last, CancellationToken cancellationToken)
    {
        var hold = await _lock.AcquireAsync(0, 0, exclusive: true, cancellationToken);
        try
        {
            _marks.AsSpan((int)first, (int)(last - first) + 1).Fill(1);
            for (long page = first / PageSize; page <= last / PageSize; page++)
                await _side.WriteAsync(PageSize * (1 + page), _marks.AsMemory((int)page * PageSize, PageSize), cancellationToken);
            await _side.FlushAsync(cancellationToken);
            _marked.Set(first, last - first + 1);
        }
        finally
        {
            _lock.Release(hold);
        }
    }

    private async ValueTask LoadAsync(CancellationToken cancellationToken)
    {
        await ReadAsync(PageSize, _marks, cancellationToken);
        int pagesAtOnce = _run / PageSize;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(_run);
        try
        {
            for (long page = 0; page < _marked.ChunkCount; page += pagesAtOnce)
            {
                int count = (int)Math.Min(pagesAtOnce, _marked.ChunkCount - page);
                await _side.ReadAsync(TableOffset + (page * PageSize), buffer.AsMemory(0, count * PageSize), cancellationToken);
                for (int i = 0; i < count; i++)
                    ReadPage(page + i, buffer.AsSpan(i * PageSize, PageSize));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        // After a crash these may hold data newer than their checksums.
        for (long page = 0; page < _marked.ChunkCount; page++)
        {
            if (_marks[page] == 0)
                continue;
            _marked.Set(page);
            _table.Unsettle(page * EntriesPerPage, EntriesOf(page));
        }
    }

    private async ValueTask ReadAsync(long offset, Memory<byte> target, CancellationToken cancellationToken)
    {
        for (int done = 0; done < target.Length; done += _run)
            await _side.ReadAsync(offset + done, target.Slice(done, Math.Min(_run, target.Length - done)), cancellationToken);
    }

    private int EntriesOf(long page) => (int)Math.Min(EntriesPerPage, _layout.ChunkCount - (page * EntriesPerPage));

    private void WritePage(long page, Span<byte> buffer)
    {
        buffer[..PageSize].Clear();
        var entries = _table.Entries(page * EntriesPerPage, EntriesOf(page));
        for (int i = 0; i < entries.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(buffer[(i * sizeof(uint))..], entries[i]);
    }

    private void ReadPage(long page, ReadOnlySpan<byte> buffer)
    {
        var entries = _table.Entries(page * EntriesPerPage, EntriesOf(page));
        for (int i = 0; i < entries.Length; i++)
            entries[i] = BinaryPrimitives.ReadUInt32LittleEndian(buffer[(i * sizeof(uint))..]);
    }

    private void WriteHeader(Span<byte> header)
    {
        "FSCHKSM\u0001"u8.CopyTo(header);
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], _layout.ChunkSize);
        BinaryPrimitives.WriteInt64LittleEndian(header[16..], _layout.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[(HeaderSize - 4)..], Crc32C.Compute(header[..(HeaderSize - 4)]));
    }

    private void CheckHeader(ReadOnlySpan<byte> header)
    {
        Span<byte> expected = stackalloc byte[HeaderSize];
        WriteHeader(expected);
        if (!header[..8].SequenceEqual(expected[..8]))
            throw new BackendException(BackendError.Invalid, "The side backend holds something else than checksums; give it an empty one.");
        if (Crc32C.Compute(header[..(HeaderSize - 4)]) != BinaryPrimitives.ReadUInt32LittleEndian(header[(HeaderSize - 4)..]))
            throw new BackendException(BackendError.Corrupt, "The header of the checksums is corrupt; scan the backend anew with an empty side backend.");
        if (header[..HeaderSize].SequenceEqual(expected))
            return;
        throw new BackendException(
            BackendError.Invalid,
            $"The checksums are of {BinaryPrimitives.ReadInt64LittleEndian(header[16..])} bytes in chunks of "
            + $"{BinaryPrimitives.ReadInt32LittleEndian(header[8..])}, not of {_layout.Length} in chunks of {_layout.ChunkSize}.");
    }
}
