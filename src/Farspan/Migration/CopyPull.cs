using System.Buffers;
using Farspan.Backends;
using Farspan.Waiting;

namespace Farspan.Migration;

/// <summary>
/// Brings what a copy does not have: what somebody waits for at once, the rest in the background, as much at a time as the line takes. A chunk is on
/// its way once. Errors never end it. Thread-safe.
/// </summary>
internal sealed class CopyPull : IDisposable
{
    private const int UsualRead = 256 << 10;

    private readonly RegionCopy _copy;
    private readonly CopySource _source;
    private readonly CopyRules _rules;
    private readonly LeecherOptions _options;
    private readonly CancellationToken _closing;
    private readonly ChunkComparison _comparison;
    private readonly RunningTasks _tasks = new();
    private readonly WakeUp _wake = new();
    private readonly ITimer _alarm;
    private readonly long _mostChunks;

    // Guarded by the copy's gate.
    private readonly Dictionary<long, CopyFetch> _fetches = [];
    private long _cursor;
    private long _restsUntil;
    private long _received;

    /// <param name="copy">Where it goes.</param>
    /// <param name="seeder">Where it comes from.</param>
    /// <param name="rules">What may be asked, and what counts.</param>
    /// <param name="comparison">Finds what is here already.</param>
    /// <param name="options">How.</param>
    /// <param name="closing">Ends it.</param>
    public CopyPull(RegionCopy copy, ISeeder seeder, CopyRules rules, ChunkComparison comparison, LeecherOptions options, CancellationToken closing)
    {
        _copy = copy;
        _rules = rules;
        _options = options;
        _closing = closing;
        _comparison = comparison;
        int chunk = copy.Layout.ChunkSize;
        _mostChunks = Math.Max(1, options.LongestRead / chunk);
        Window = new PullWindow(options.Clock, chunk, Math.Max(1 << 20, chunk), Math.Max(options.Budget, 2 * chunk));
        _source = new CopySource(seeder, rules, Window, options, closing);
        _alarm = options.Clock.CreateTimer(static state => ((WakeUp)state!).Set(), _wake, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public PullWindow Window { get; }

    /// <summary>Bytes that came.</summary>
    public long Received => Volatile.Read(ref _received);

    /// <summary>Why the last one failed; null where nothing has since.</summary>
    public BackendException? Failure { get; private set; }

    /// <summary>Looks for something to fetch.</summary>
    public void Wake() => _wake.Set();

    /// <summary>What is on its way no longer counts. Under the copy's gate.</summary>
    public void Restart()
    {
        _fetches.Clear();
        _cursor = 0;
        _wake.Set();
    }

    /// <summary>The loop of what nobody waits for; ends, with all that is under way, when the leecher closes.</summary>
    public async Task RunAsync()
    {
        await Task.Yield();
        await using var wakeAtEnd = _closing.UnsafeRegister(static state => ((WakeUp)state!).Set(), _wake);
        for (int started = 1; !_closing.IsCancellationRequested;)
        {
            while (!_closing.IsCancellationRequested && TryStartNext())
            {
                // A seeder that answers at once would otherwise keep this thread for itself.
                if (started++ % 16 == 0)
                    await Task.Yield();
            }

            await _wake.WaitAsync();
        }

        await _tasks.WhenIdleAsync(CancellationToken.None);
    }

    /// <summary>Returns once chunks are here.</summary>
    /// <exception cref="BackendException">They do not come.</exception>
    public async Task DemandAsync(long firstChunk, long lastChunk, CancellationToken cancellationToken)
    {
        long? since = null;
        while (true)
        {
            var started = new List<CopyFetch>();
            CopyFetch? first = null;
            lock (_copy.Gate)
            {
                if (_copy.NextMissing(firstChunk) > lastChunk)
                    return;
                if (_closing.IsCancellationRequested)
                    throw new BackendException(BackendError.ShuttingDown, "The region is being closed here, and some of it has not come.");
                if (_rules.AskRead() is { } request)
                    first = Take(firstChunk, lastChunk, request, started);
                _cursor = Math.Max(_cursor <= firstChunk ? 0 : _cursor, lastChunk + 1 < _copy.Layout.ChunkCount ? lastChunk + 1 : 0);
            }

            foreach (var fetch in started)
                _tasks.Run(static work => work.Pull.FetchAsync(work.Fetch), (Pull: this, Fetch: fetch));
            if (first is not null)
                await first.Done.WaitAsync(cancellationToken);
            if (first?.Failure is not { } failure && first is not null)
                continue;
            since ??= _options.Clock.GetTimestamp();
            if (first?.Failure is { } last && (!last.IsTransient || _options.Clock.GetElapsedTime(since.Value) > _options.OutageTimeout))
                throw new BackendException(last.Error, last.Message, last, last.IsTransient);
            await Task.Delay(_options.RetryDelay / 10, _options.Clock, cancellationToken);
        }
    }

    public void Dispose() => _alarm.Dispose();

    // The first fetch that brings one of the chunks, with all that have to be started for them.
    private CopyFetch? Take(long firstChunk, long lastChunk, SeederRequest request, List<CopyFetch> started)
    {
        CopyFetch? first = null;
        for (long at = _copy.NextMissing(firstChunk); at <= lastChunk; at = _copy.NextMissing(at))
        {
            if (!_fetches.TryGetValue(at, out var fetch))
            {
                fetch = Add(at, Math.Min(lastChunk + 1, at + _mostChunks), request);
                started.Add(fetch);
            }

            first ??= fetch;
            at = fetch.FirstChunk + fetch.Count;
        }

        return first;
    }

    // A run of missing chunks from one on, up to where one is here or on its way.
    private CopyFetch Add(long firstChunk, long end, SeederRequest request)
    {
        long count = 1;
        while (firstChunk + count < end && !_copy.IsHere(firstChunk + count) && !_fetches.ContainsKey(firstChunk + count))
            count++;
        var fetch = new CopyFetch(firstChunk, count, request);
        for (long chunk = firstChunk; chunk < firstChunk + count; chunk++)
            _fetches.Add(chunk, fetch);
        return fetch;
    }

    private bool TryStartNext()
    {
        CopyFetch fetch;
        bool isCompared;
        lock (_copy.Gate)
        {
            if (_copy.IsWhole || IsResting() || _rules.AskRead() is not { } request)
                return false;
            long count = MostAtOnce();
            if (!(_rules.IsUsed ? Window.HasRoomInBackground(count * _copy.Layout.ChunkSize) : Window.HasRoom(count * _copy.Layout.ChunkSize)) || Next() is not { } next)
                return false;
            isCompared = _comparison.IsWorthwhile(next);
            long end = isCompared ? _comparison.EndOf(next) : Math.Min(next + count, _comparison.NextWorthwhile(next));
            fetch = Add(next, Math.Min(end, _copy.Layout.ChunkCount), request);
            _cursor = next + fetch.Count;
        }

        if (isCompared)
            _tasks.Run(static work => work.Pull.CompareAsync(work.Fetch), (Pull: this, Fetch: fetch));
        else
            _tasks.Run(static work => work.Pull.FetchAsync(work.Fetch), (Pull: this, Fetch: fetch));
        return true;
    }

    // A timer may be early: whoever was woken by it comes again.
    private bool IsResting()
    {
        long left = _restsUntil - _options.Clock.GetTimestamp();
        if (left <= 0)
            return false;
        _alarm.Change(TimeSpan.FromSeconds((double)left / _options.Clock.TimestampFrequency) + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
        return true;
    }

    // A small part of what may be in flight: what the line takes for one is in the shortest time seen, and so in the window.
    private long MostAtOnce()
    {
        long bytes = Math.Min(Math.Clamp(Window.Limit / 16, UsualRead, _options.LongestRead > UsualRead ? _options.LongestRead : UsualRead), Window.Limit / 4);
        return Math.Clamp(bytes / _copy.Layout.ChunkSize, 1, _mostChunks);
    }

    // From where the last one ended, once round.
    private long? Next()
    {
        long count = _copy.Layout.ChunkCount;
        for (int turn = 0; turn < 2; turn++)
        {
            for (long at = _copy.NextMissing(turn == 0 ? _cursor : 0); at < count; at = _copy.NextMissing(at))
            {
                if (!_fetches.TryGetValue(at, out var fetch))
                    return at;
                at = fetch.FirstChunk + fetch.Count;
            }
        }

        return null;
    }

    private async Task FetchAsync(CopyFetch fetch)
    {
        int length = (int)_copy.BytesOf(fetch.FirstChunk, fetch.Count);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            var bytes = buffer.AsMemory(0, length);
            if (await _source.ReadAsync(fetch.Request, _copy.Layout.OffsetOf(fetch.FirstChunk), bytes))
            {
                Interlocked.Add(ref _received, length);
                await _copy.StoreAsync(fetch.FirstChunk, fetch.Count, bytes, () => _rules.MayStore(fetch.Request));
            }
            else
            {
                Refuse(fetch);
            }
        }
        catch (BackendException failure)
        {
            Fail(fetch, failure);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            End(fetch);
        }
    }

    private async Task CompareAsync(CopyFetch fetch)
    {
        try
        {
            if (!await Patience.RunAsync(token => _comparison.CompareAsync(fetch, token), _options.RequestTimeout, _options.Clock, _closing))
                Refuse(fetch);
        }
        catch (BackendException failure)
        {
            Fail(fetch, failure);
        }
        finally
        {
            End(fetch);
        }
    }

    // A session that is over is followed by another one; after the hand-over nothing is.
    private void Refuse(CopyFetch fetch)
    {
        bool isForGood;
        lock (_copy.Gate)
            isForGood = _rules.IsHandedOver && _rules.MayStore(fetch.Request);
        if (isForGood)
            Fail(fetch, new BackendException(BackendError.Fenced, "The seeder sends nothing more of this region: it was taken back there by force, and is another one now."));
        _rules.Refused(fetch.Request);
    }

    private void Fail(CopyFetch fetch, BackendException failure)
    {
        fetch.Failure = Failure = failure;
        lock (_copy.Gate)
            _restsUntil = _options.Clock.GetTimestamp() + (long)(_options.RetryDelay.TotalSeconds * _options.Clock.TimestampFrequency);
        _alarm.Change(_options.RetryDelay, Timeout.InfiniteTimeSpan);
    }

    private void End(CopyFetch fetch)
    {
        lock (_copy.Gate)
        {
            for (long chunk = fetch.FirstChunk; chunk < fetch.FirstChunk + fetch.Count; chunk++)
            {
                if (_fetches.TryGetValue(chunk, out var current) && current == fetch)
                    _fetches.Remove(chunk);
            }

            if (fetch.Failure is null)
                Failure = null;
        }

        fetch.Done.Set();
        _wake.Set();
        if (_copy.IsWhole)
            _rules.BecameWhole();
    }
}
