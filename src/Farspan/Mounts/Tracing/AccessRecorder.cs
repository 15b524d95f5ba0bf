using System.Numerics;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Stages;

namespace Farspan.Mounts.Tracing;

/// <summary>
/// A stage that records in which order chunks are first read or written. Once a chunk was touched, a call on it costs a look at one bit.
/// Thread-safe, without locks.
/// </summary>
/// <remarks>
/// It keeps one bit for each chunk, and eight bytes for each run of chunks that a call was the first to touch. A call counts when it begins,
/// whatever becomes of it. Trims and zeroes do not count: nobody needs the bytes that were there before.
/// </remarks>
public sealed class AccessRecorder : Stage, IMemoryLender
{
    private const int SegmentLength = 4096;
    private const int CountBits = 23;
    private const long MostChunksOfAnEntry = (1L << CountBits) - 1;

    private readonly ChunkLayout _layout;
    private readonly IMemoryLender? _lender;
    private readonly ulong[] _touched;
    private readonly long[]?[] _segments;
    private long _entryCount;

    /// <summary>Wraps <paramref name="inner"/>.</summary>
    /// <param name="inner">The backend below.</param>
    /// <param name="chunkSize">Bytes of a chunk: a power of two from 4 KiB to 32 MiB, and at most 2^32 chunks in all. 64 KiB unless told.</param>
    /// <exception cref="ArgumentOutOfRangeException">The chunk size is none, or too small for so long a region.</exception>
    public AccessRecorder(IBackend inner, int chunkSize = 64 << 10)
        : base(inner)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(chunkSize, 4096);
        _layout = new ChunkLayout(inner.Length, chunkSize);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(_layout.ChunkCount, 1L << 32, nameof(chunkSize));
        _lender = inner.GetCapability<IMemoryLender>();
        _touched = new ulong[(_layout.ChunkCount + 63) / 64];
        _segments = new long[]?[(_layout.ChunkCount + SegmentLength - 1) / SegmentLength];
    }

    /// <inheritdoc/>
    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        Note(offset, buffer.Length, isWrite: false);
        return Inner.ReadAsync(offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        Note(offset, buffer.Length, isWrite: true);
        return Inner.WriteAsync(offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    bool IMemoryLender.TryLend(long offset, int length, out LentMemory lent)
    {
        if (!_lender!.TryLend(offset, length, out lent))
            return false;
        Note(offset, lent.Memory.Length, isWrite: false);
        return true;
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(IMemoryLender))
            return _lender is null ? null : this as TCapability;
        return typeof(TCapability) == typeof(ITrim) || typeof(TCapability) == typeof(IZero) || typeof(TCapability) == typeof(IExtentSource)
            || typeof(TCapability) == typeof(IBlockSizes) || typeof(TCapability) == typeof(IConcurrentWriters)
            || typeof(TCapability) == typeof(IStateMaps)
            ? Inner.GetCapability<TCapability>()
            : null;
    }

    /// <summary>What was touched up to now, in its order.</summary>
    public PullTrace ToTrace()
    {
        var runs = new List<PullTraceRun>();
        long count = Volatile.Read(ref _entryCount);
        for (long i = 0; i < count; i++)
        {
            // An entry that another thread has not written yet is of a call that runs at this moment.
            long entry = Volatile.Read(ref _segments[i / SegmentLength]) is { } segment ? Volatile.Read(ref segment[i % SegmentLength]) : 0;
            if (entry == 0)
                continue;
            var run = new PullTraceRun((long)((ulong)entry >> (CountBits + 1)), (entry >> 1) & MostChunksOfAnEntry, (entry & 1) != 0);
            if (runs.Count > 0 && runs[^1] is var last && last.IsWrite == run.IsWrite && last.FirstChunk + last.Count == run.FirstChunk)
                runs[^1] = last with { Count = last.Count + run.Count };
            else
                runs.Add(run);
        }

        return new PullTrace(_layout.Length, _layout.ChunkSize, runs);
    }

    private void Note(long offset, long length, bool isWrite)
    {
        if (length == 0)
            return;
        long chunk = _layout.IndexOf(offset);
        long end = _layout.IndexOf(offset + length - 1) + 1;
        long runStart = chunk;
        long runEnd = chunk;
        while (chunk < end)
        {
            int bit = (int)(chunk & 63);
            int bits = (int)Math.Min(64 - bit, end - chunk);
            ulong mask = (bits == 64 ? ulong.MaxValue : (1UL << bits) - 1) << bit;
            ref ulong word = ref _touched[chunk >> 6];
            ulong before = Volatile.Read(ref word);
            ulong fresh = (before & mask) == mask ? 0 : mask & ~Interlocked.Or(ref word, mask);
            for (long wordStart = chunk & ~63L; fresh != 0;)
            {
                int first = BitOperations.TrailingZeroCount(fresh);
                int run = BitOperations.TrailingZeroCount(~(fresh >> first));
                if (wordStart + first != runEnd)
                {
                    Append(runStart, runEnd, isWrite);
                    runStart = wordStart + first;
                }

                runEnd = wordStart + first + run;
                fresh = first + run == 64 ? 0 : fresh & (ulong.MaxValue << (first + run));
            }

            chunk += bits;
        }

        Append(runStart, runEnd, isWrite);
    }

    private void Append(long first, long end, bool isWrite)
    {
        while (first < end)
        {
            long count = Math.Min(end - first, MostChunksOfAnEntry);
            long index = Interlocked.Increment(ref _entryCount) - 1;
            ref long[]? place = ref _segments[index / SegmentLength];
            var segment = Volatile.Read(ref place);
            if (segment is null)
            {
                var made = new long[SegmentLength];
                segment = Interlocked.CompareExchange(ref place, made, null) ?? made;
            }

            Volatile.Write(ref segment[index % SegmentLength], (first << (CountBits + 1)) | (count << 1) | (isWrite ? 1L : 0));
            first += count;
        }
    }
}
