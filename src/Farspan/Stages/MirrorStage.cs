using System.Buffers;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Waiting;

namespace Farspan.Stages;

/// <summary>
/// Keeps a second store in line with the one below: a flush completes once what was changed before is durable in both. Reads never go to the second one.
/// Thread-safe.
/// </summary>
/// <remarks>
/// <para>What changes while nobody flushes is only marked. Until the second store is there flushes wait, and where it may hold something else at the
/// beginning until it was compared, in the background: a run before this one may have left here what no flush has covered.</para>
/// <para>Nothing goes to the second store that is not durable here first: a chunk that a crash takes from here must not be newer there. Writes to it end by
/// themselves, also where the flush that made them was cancelled: one that is still on its way would cover what a later flush carries.</para>
/// </remarks>
internal sealed class MirrorStage : InterceptingStage, IMirrored
{
    private const int BatchBytes = 1 << 20;
    private const int Width = 8;

    private readonly TrackingSession _changes;
    private readonly ChunkLayout _layout;
    private readonly ChunkBitmap _left;
    private readonly ChunkBitmap _doubtful;
    private readonly ChunkRangeLock _turn = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly TimeProvider _clock;
    private readonly TimeSpan _retryDelay;
    private volatile Signal _inLine = new();
    private volatile bool _isInLine;
    private Func<CancellationToken, ValueTask<IBackend>>? _regain;
    private IBackend? _mirror;
    private Task _comparing = Task.CompletedTask;
    private string? _trouble;

    /// <param name="inner">The first store. Owned.</param>
    /// <param name="chunkSize">Bytes that are marked, and carried, together.</param>
    /// <param name="clock">The clock.</param>
    /// <param name="retryDelay">How long to wait before the comparison is tried again.</param>
    public MirrorStage(IBackend inner, int chunkSize, TimeProvider clock, TimeSpan retryDelay)
        : this(new TrackingStage(inner, chunkSize), clock, retryDelay)
    {
    }

    private MirrorStage(TrackingStage tracking, TimeProvider clock, TimeSpan retryDelay)
        : base(tracking)
    {
        _layout = tracking.Layout;
        _changes = tracking.BeginTracking();
        _left = new ChunkBitmap(_layout.ChunkCount);
        _doubtful = new ChunkBitmap(_layout.ChunkCount);
        _clock = clock;
        _retryDelay = retryDelay;
    }

    /// <inheritdoc/>
    public bool IsInLine => _isInLine && !_closing.IsCancellationRequested;

    /// <summary>Whether <see cref="Begin"/> was called.</summary>
    public bool HasBegun => _mirror is not null;

    /// <summary>What failed last of the comparison; null where nothing did since.</summary>
    public string? Trouble => Volatile.Read(ref _trouble);

    /// <summary>Begins to carry changes to a store. Once.</summary>
    /// <param name="mirror">As long as this. Stays the caller's.</param>
    /// <param name="isSame">Whether it has what the first one has, but for what was changed here.</param>
    /// <param name="regain">
    /// Gets the store again where it says that somebody else has it now (<see cref="BackendError.Fenced"/>); it is compared then. Null where that is for good.
    /// </param>
    /// <exception cref="BackendException">It has another length, or cannot be written.</exception>
    public void Begin(IBackend mirror, bool isSame, Func<CancellationToken, ValueTask<IBackend>>? regain = null)
    {
        if (mirror.Length != Length)
            throw new BackendException(BackendError.Invalid, $"The store behind the region has {mirror.Length} bytes, and the region {Length}.");
        if (mirror.IsReadOnly)
            throw new BackendException(BackendError.ReadOnly, "The store behind the region cannot be written.");
        _mirror = mirror;
        _regain = regain;
        if (!isSame)
            _doubtful.Set(0, _layout.ChunkCount);
        _comparing = CompareAsync(isLost: false);
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(IMirrored) ? this as TCapability
            : typeof(TCapability) == typeof(IMemoryLender) ? Inner.GetCapability<TCapability>() : base.GetCapability<TCapability>();

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        _closing.CancelHere();
        _inLine.Fail(Closing());
        var turn = await _turn.AcquireAsync(0, 0, exclusive: true, CancellationToken.None);
        _turn.Release(turn);
        await _comparing;
        _changes.Dispose();
        await base.DisposeAsync();
    }

    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
        => call.Operation == BackendOperation.Flush ? FlushBothAsync(cancellationToken) : call.StartAsync(Below, cancellationToken);

    private async ValueTask FlushBothAsync(CancellationToken cancellationToken)
    {
        if (!IsInLine)
            await Inner.FlushAsync(cancellationToken);
        while (true)
        {
            var inLine = _inLine;
            await inLine.WaitAsync(cancellationToken);
            var turn = await _turn.AcquireAsync(0, 0, exclusive: true, cancellationToken);
            if (inLine != _inLine)
            {
                _turn.Release(turn);
                continue;
            }

            var done = new Signal();
            _ = FlushAsync(turn, done);
            try
            {
                await done.WaitAsync(cancellationToken);
                return;
            }
            catch (BackendException failure) when (failure.Error == BackendError.Fenced && inLine != _inLine)
            {
                // It is got again, and compared.
            }
        }
    }

    // Goes on where its caller does not wait any more; the turn is held until it has ended.
    private async Task FlushAsync(RangeHold turn, Signal done)
    {
        Exception? failure = null;
        try
        {
            foreach (long chunk in _changes.SnapshotAndClear().SetChunks())
                _left.Set(chunk);
            await Inner.FlushAsync(_closing.Token);
            await CarryAsync();
            await _mirror!.FlushAsync(_closing.Token);
        }
        catch (OperationCanceledException)
        {
            failure = Closing();
        }
        catch (Exception refusal)
        {
            failure = refusal;
            if (refusal is BackendException { Error: BackendError.Fenced } && _regain is not null && !_closing.IsCancellationRequested)
                Regain();
        }

        _turn.Release(turn);
        if (failure is null)
            done.Set();
        else
            done.Fail(failure);
    }

    // Under the turn. What is there is not known any more.
    private void Regain()
    {
        _doubtful.Set(0, _layout.ChunkCount);
        _isInLine = false;
        _inLine = new Signal();
        _comparing = CompareAsync(isLost: true);
    }

    // What could not be carried is left for the next flush.
    private async ValueTask CarryAsync()
    {
        var running = new List<Task>();
        for (long first = _left.NextSet(0); first >= 0;)
        {
            long count = Math.Min(_left.NextClear(first) - first, Math.Max(1, BatchBytes / _layout.ChunkSize));
            running.Add(CarryAsync(first, count));
            if (running.Count == Width)
            {
                await Task.WhenAll(running);
                running.Clear();
            }

            first = _left.NextSet(first + count);
        }

        await Task.WhenAll(running);
    }

    private async Task CarryAsync(long firstChunk, long count)
    {
        long offset = _layout.OffsetOf(firstChunk);
        int length = (int)(Math.Min(_layout.Length, _layout.OffsetOf(firstChunk + count)) - offset);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            await Inner.ReadAsync(offset, buffer.AsMemory(0, length), _closing.Token);
            await _mirror!.WriteAsync(offset, buffer.AsMemory(0, length), CancellationToken.None);
            _left.Clear(firstChunk, count);
            _doubtful.Clear(firstChunk, count);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task CompareAsync(bool isLost)
    {
        await Task.Yield();
        while (!_closing.IsCancellationRequested)
        {
            try
            {
                if (isLost)
                    _mirror = await _regain!(_closing.Token);
                isLost = false;
                for (long first = _doubtful.NextSet(0); first >= 0; first = _doubtful.NextSet(first))
                    await CompareAsync(first);
                Volatile.Write(ref _trouble, null);
                if (_inLine.IsSet)
                    _inLine = new Signal();
                _isInLine = true;
                _inLine.Set();
                return;
            }
            catch (Exception failure) when (failure is BackendException or OperationCanceledException or ObjectDisposedException)
            {
                Volatile.Write(ref _trouble, failure.Message);
                var error = (failure as BackendException)?.Error;
                isLost |= error == BackendError.Fenced && _regain is not null;
                if (isLost)
                    _doubtful.Set(0, _layout.ChunkCount);

                // Who has it may have it for good. It is tried again, but nobody waits for that.
                if (isLost && error == BackendError.Leased)
                    _inLine.Fail(failure);
            }

            try
            {
                await Task.Delay(_retryDelay, _clock, _closing.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    // No flush carries anything meanwhile: what it carried would be covered by what was read here before.
    private async ValueTask CompareAsync(long firstChunk)
    {
        var turn = await _turn.AcquireAsync(0, 0, exclusive: true, _closing.Token);
        byte[] here = ArrayPool<byte>.Shared.Rent(Math.Max(BatchBytes, _layout.ChunkSize)), there = ArrayPool<byte>.Shared.Rent(here.Length);
        try
        {
            long count = Math.Min(_doubtful.NextClear(firstChunk) - firstChunk, Math.Max(1, BatchBytes / _layout.ChunkSize));
            long offset = _layout.OffsetOf(firstChunk);
            int length = (int)(Math.Min(_layout.Length, _layout.OffsetOf(firstChunk + count)) - offset);
            await Inner.ReadAsync(offset, here.AsMemory(0, length), _closing.Token);
            await _mirror!.ReadAsync(offset, there.AsMemory(0, length), _closing.Token);
            if (!here.AsSpan(0, length).SequenceEqual(there.AsSpan(0, length)))
                await Inner.FlushAsync(_closing.Token);
            for (int at = 0; at < length; at += _layout.ChunkSize)
            {
                int some = Math.Min(_layout.ChunkSize, length - at);
                if (!here.AsSpan(at, some).SequenceEqual(there.AsSpan(at, some)))
                    await _mirror.WriteAsync(offset + at, here.AsMemory(at, some), CancellationToken.None);
            }

            _doubtful.Clear(firstChunk, count);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(here);
            ArrayPool<byte>.Shared.Return(there);
            _turn.Release(turn);
        }
    }

    private static BackendException Closing() => new(BackendError.ShuttingDown, "The region is being closed.");
}
