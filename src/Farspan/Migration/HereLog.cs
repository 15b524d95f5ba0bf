using System.Buffers.Binary;
using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Chunks;
using Farspan.Mounts.Caching;

namespace Farspan.Migration;

/// <summary>
/// Which chunks of a region that is being received are durable here: a restart asks the seeder for the others only, and never covers what the
/// program has written. One call at a time.
/// </summary>
/// <remarks>
/// <code>
/// header           record of a run of chunks that are here
///  0 8 "FSHERE1\n"     0 8 the first
///  8 16 token          8 8 how many
/// 24 8 length         16 4 its place in the file, in records
/// 32 4 chunk size     20 4 CRC-32C of bytes 0 to 19
/// 36 4 CRC-32C of bytes 0 to 35
/// </code>
/// It grows only. What follows a record that is damaged was never durable. The header is there before the record of the move is: it tells a restart what the
/// seeder has, where the seeder does not answer.
/// </remarks>
internal sealed class HereLog(ICacheFiles files, ChunkLayout layout) : IAsyncDisposable
{
    /// <summary>The file's name in the directory.</summary>
    public const string Name = "here";

    private const int HeaderSize = 40;
    private const int RecordSize = 24;
    private const int BatchSize = 1024;

    private ICacheFile? _file;
    private long _end;

    private static ReadOnlySpan<byte> Magic => "FSHERE1\n"u8;

    /// <summary>What the region of a move is cut into; null where nothing was kept for that move.</summary>
    /// <exception cref="BackendException">The file cannot be read.</exception>
    public static async ValueTask<ChunkLayout?> FindLayoutAsync(ICacheFiles files, Guid token)
    {
        if (!(await files.ListAsync()).Contains(Name))
            return null;
        await using var file = await files.OpenAsync(Name);
        byte[] header = new byte[HeaderSize];
        if (file.Length < HeaderSize)
            return null;
        await file.ReadAsync(0, header);
        long length = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(24));
        int chunkSize = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(32));
        bool isSound = length >= 0 && chunkSize is > 0 and <= ChunkLayout.MaximumChunkSize && int.IsPow2(chunkSize);
        return isSound && header.AsSpan().SequenceEqual(Header(token, new ChunkLayout(length, chunkSize))) ? new ChunkLayout(length, chunkSize) : null;
    }

    /// <summary>Begins the log of a move, of which nothing is here; durable, with its name, when this returns.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    public async ValueTask BeginAsync(Guid token)
    {
        await DisposeAsync();
        var created = await files.CreateAsync(Name);
        try
        {
            await created.WriteAsync(0, Header(token, layout));
            await created.FlushAsync();
            await files.SyncNamesAsync();
            (_file, _end, created) = (created, HeaderSize, null);
        }
        finally
        {
            if (created is not null)
                await created.DisposeAsync();
        }
    }

    /// <summary>What was kept for a move; nothing where it was kept for another one.</summary>
    /// <exception cref="BackendException">The file cannot be read.</exception>
    public async ValueTask<IReadOnlyList<ChangedRun>> ReadAsync(Guid token)
    {
        var runs = new List<ChangedRun>();
        if (!(await files.ListAsync()).Contains(Name))
            return runs;
        var file = await files.OpenAsync(Name);
        try
        {
            byte[] header = new byte[HeaderSize];
            if (file.Length >= HeaderSize)
                await file.ReadAsync(0, header);
            if (!header.AsSpan().SequenceEqual(Header(token, layout)))
                return runs;
            byte[] bytes = new byte[BatchSize * RecordSize];
            long count = (file.Length - HeaderSize) / RecordSize;
            for (long at = 0; at < count;)
            {
                int some = (int)Math.Min(BatchSize, count - at);
                await file.ReadAsync(HeaderSize + (at * RecordSize), bytes.AsMemory(0, some * RecordSize));
                int sound = Parse(bytes.AsSpan(0, some * RecordSize), at, runs);
                at += sound;
                if (sound < some)
                    break;
            }

            _end = HeaderSize + ((long)runs.Count * RecordSize);
            await file.SetLengthAsync(_end);
            (_file, file) = (file, null);
            return runs;
        }
        finally
        {
            if (file is not null)
                await file.DisposeAsync();
        }
    }

    /// <summary>Keeps that chunks are here, whose bytes are durable; durable when this returns.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    public async ValueTask AddAsync(Guid token, ChunkBitmap here)
    {
        long first = here.NextSet(0);
        if (first < 0)
            return;
        if (_file is null)
            await BeginAsync(token);

        byte[] bytes = new byte[BatchSize * RecordSize];
        while (first >= 0)
        {
            int length = 0;
            for (; first >= 0 && length < bytes.Length; length += RecordSize)
            {
                long end = here.NextClear(first);
                Write(bytes.AsSpan(length, RecordSize), new ChangedRun(first, end - first), (_end + length - HeaderSize) / RecordSize);
                first = here.NextSet(end);
            }

            await _file!.WriteAsync(_end, bytes.AsMemory(0, length));
            _end += length;
        }

        await _file!.FlushAsync();
    }

    /// <summary>Forgets it all: the region is here whole, or never will be.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    public async ValueTask DeleteAsync()
    {
        await DisposeAsync();
        if ((await files.ListAsync()).Contains(Name))
            await files.DeleteAsync(Name);
    }

    public async ValueTask DisposeAsync()
    {
        if (_file is not { } file)
            return;
        _file = null;
        await file.DisposeAsync();
    }

    private int Parse(ReadOnlySpan<byte> bytes, long place, List<ChangedRun> runs)
    {
        int count = 0;
        for (; !bytes.IsEmpty; bytes = bytes[RecordSize..], count++)
        {
            long first = BinaryPrimitives.ReadInt64LittleEndian(bytes), length = BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]);
            bool isSound = Crc32C.Compute(bytes[..20]) == BinaryPrimitives.ReadUInt32LittleEndian(bytes[20..])
                && BinaryPrimitives.ReadUInt32LittleEndian(bytes[16..]) == (uint)(place + count)
                && first >= 0 && length >= 1 && length <= layout.ChunkCount && first <= layout.ChunkCount - length;
            if (!isSound)
                break;
            runs.Add(new ChangedRun(first, length));
        }

        return count;
    }

    private static void Write(Span<byte> record, ChangedRun run, long place)
    {
        BinaryPrimitives.WriteInt64LittleEndian(record, run.FirstChunk);
        BinaryPrimitives.WriteInt64LittleEndian(record[8..], run.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(record[16..], (uint)place);
        BinaryPrimitives.WriteUInt32LittleEndian(record[20..], Crc32C.Compute(record[..20]));
    }

    private static byte[] Header(Guid token, ChunkLayout layout)
    {
        byte[] header = new byte[HeaderSize];
        Magic.CopyTo(header);
        token.TryWriteBytes(header.AsSpan(8));
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(24), layout.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(32), layout.ChunkSize);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(36), Crc32C.Compute(header.AsSpan(0, 36)));
        return header;
    }
}
