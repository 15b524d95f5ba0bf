using System.Runtime.ExceptionServices;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// Brings ranges ahead of their use, in batches and several at a time. Faults that follow each other have what comes next brought; how far ahead of
/// that the backend reads is its own affair. Thread-safe.
/// </summary>
internal sealed class RegionPrefetcher(RegionCore region, ChunkFiller filler)
{
    private const int Streams = 4;
    private const int FirstWindow = 4;

    private readonly FaultStream[] _streams = new FaultStream[Streams];
    private readonly Lock _gate = new();
    private readonly long _window = region.Options.ReadAhead / region.Options.ChunkSize;
    private int _oldest;

    /// <summary>Brings what is absent of a run of chunks, and waits for all of it.</summary>
    /// <exception cref="Backends.BackendException">Something could not be brought; so may be what comes after it.</exception>
    public async Task BringAsync(long first, long count, CancellationToken cancellationToken)
    {
        if (await BringAbsentAsync(first, count, cancellationToken) is { } error)
            ExceptionDispatchInfo.Throw(error);
        for (long index = first; index < first + count; index++)
        {
            if (region.Table.StateOf(index) == ChunkState.Filling)
                await region.Waiters.WaitAsync(index, ChunkState.Filling, cancellationToken);
        }
    }

    /// <summary>Is told of each fault: where they follow each other, what comes next is brought in the background, further each time.</summary>
    public void Observe(long index)
    {
        if (_window == 0)
            return;
        long first;
        long count;
        lock (_gate)
        {
            int at = Array.FindIndex(_streams, stream => index >= stream.Start && index <= stream.Next);
            if (at < 0)
            {
                _streams[_oldest] = new FaultStream(index, index + 1, 0);
                _oldest = (_oldest + 1) % Streams;
                return;
            }

            // Within what is being brought.
            if (index < _streams[at].Next)
                return;
            first = index + 1;
            count = Math.Min(Math.Min(_window, Math.Max(FirstWindow, 2 * _streams[at].Window)), region.Table.Count - first);
            _streams[at] = new FaultStream(index, first + Math.Max(0, count), count);
        }

        if (count > 0)
        {
            region.Tasks.Run(
                static state => state.Prefetcher.BringAheadAsync(state.First, state.Count), (Prefetcher: this, First: first, Count: count));
        }
    }

    private async Task BringAheadAsync(long first, long count)
    {
        // Not on the thread that answers faults. What fails is asked for again by whoever touches it.
        await Task.Yield();
        _ = await BringAbsentAsync(first, count, region.Stopping.Token);
    }

    private async Task<Exception?> BringAbsentAsync(long first, long count, CancellationToken cancellationToken)
    {
        var cursor = new Cursor(region, first, first + count);
        int most = region.Lender is null ? 4 : 2;
        int workers = (int)Math.Clamp(count / region.BatchChunks, 1, Math.Max(2, Math.Min(most, Environment.ProcessorCount)));
        if (workers == 1)
            return await WorkAsync(cursor, cancellationToken);

        // On threads of the pool: where the backend has everything at hand, none of them waits.
        var running = new Task<Exception?>[workers];
        for (int i = 0; i < workers; i++)
            running[i] = Task.Run(() => WorkAsync(cursor, cancellationToken), CancellationToken.None);
        return (await Task.WhenAll(running)).FirstOrDefault(error => error is not null);
    }

    private async Task<Exception?> WorkAsync(Cursor cursor, CancellationToken cancellationToken)
    {
        while (cursor.TryClaim(out long first, out long count))
        {
            if (await filler.FillAsync(first, count) is { } error)
                return error;
            if (cancellationToken.IsCancellationRequested)
                return new OperationCanceledException(cancellationToken);
        }

        return null;
    }

    /// <summary>Faults that follow each other.</summary>
    /// <param name="Start">The first chunk of what was brought last.</param>
    /// <param name="Next">The chunk after it.</param>
    /// <param name="Window">Chunks that were brought ahead.</param>
    private readonly record struct FaultStream(long Start, long Next, long Window);

    private sealed class Cursor(RegionCore region, long next, long end)
    {
        private readonly Lock _gate = new();
        private long _next = next;

        public bool TryClaim(out long first, out long count)
        {
            lock (_gate)
            {
                count = 0;
                do
                {
                    _next = region.Table.NextAbsent(_next, end);
                    first = _next;
                    if (first < end)
                        count = region.Claim(first, Math.Min(region.BatchChunks - (first % region.BatchChunks), end - first));
                    _next += Math.Max(count, 1);
                }
                while (count == 0 && _next < end);
                return count > 0;
            }
        }
    }
}
