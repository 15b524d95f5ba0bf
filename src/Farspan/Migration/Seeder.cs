using System.Buffers;
using System.Security.Cryptography;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Caching;
using Farspan.Stages;
using Farspan.Waiting;

namespace Farspan.Migration;

/// <summary>
/// The host that has a region: its program uses <see cref="Backend"/>, and a leecher copies it meanwhile and is given it in the end. Owns the store.
/// Thread-safe.
/// </summary>
/// <remarks>
/// The rules are <see cref="SeederRules"/>; this carries out what they say. From a suspension on nothing passes <see cref="Backend"/>, and after a
/// hand-over nothing ever does: what is there is old.
/// </remarks>
internal sealed partial class Seeder : ISeeder, IAsyncDisposable
{
    private const int DigestSize = SHA256.HashSizeInBytes;

    private readonly Lock _gate = new();
    private readonly RegionRecordFile _kept;
    private readonly ISeederHost _host;
    private readonly SeederOptions _options;
    private readonly TrackingStage _tracking;
    private readonly LockGateStage _door;
    private readonly ChunkLayout _layout;
    private readonly MirrorStage? _mirror;
    private readonly CancellationTokenSource _closing = new();
    private SeederState _state;
    private TrackingSession? _session;
    private ChunkBitmap? _round;
    private ChunkBitmap? _last;
    private GateLock? _lock;
    private Signal _workEnded = new();
    private Task _work = Task.CompletedTask;
    private long _heard;
    private string? _trouble;

    private Seeder(RegionRecordFile kept, IBackend store, ISeederHost host, SeederOptions options, RegionRecord record)
    {
        if (options.Behind is not null)
            store = _mirror = new MirrorStage(store, options.ChunkSize, options.Clock, options.RetryDelay);
        _kept = kept;
        _host = host;
        _options = options;
        _tracking = new TrackingStage(store, options.ChunkSize);
        _door = new LockGateStage(_tracking);
        _layout = _tracking.Layout;
        _state = SeederRules.Start(record, options.NewSessions());
        Description = new SeederDescription(store.Length, options.ChunkSize, options.Behind is not null);
    }

    /// <inheritdoc/>
    public SeederDescription Description { get; }

    /// <summary>The region as its program sees it.</summary>
    public IBackend Backend => _door;

    /// <summary>Who owns the region, as far as this host has it durably.</summary>
    public RegionRecord Record
    {
        get
        {
            lock (_gate)
                return _state.Record;
        }
    }

    /// <summary>What failed of the last suspension, flush, hand-over or resumption, or of writing back before one; null where nothing did.</summary>
    public string? Trouble => Volatile.Read(ref _trouble) ?? Volatile.Read(ref _keptBack);

    /// <summary>Takes up a region where its record says it stands; without a record it begins here.</summary>
    /// <param name="files">Where the record is; stays the caller's.</param>
    /// <param name="store">The bytes; the seeder owns them once this returns.</param>
    /// <param name="host">Stops and starts the program. It may run once this returns, where <see cref="Record"/> says owner.</param>
    /// <param name="options">How to work.</param>
    /// <exception cref="BackendException">
    /// The record cannot be read or kept, or this host is the destination of a move that has not ended (<see cref="BackendError.Leased"/>).
    /// </exception>
    public static async ValueTask<Seeder> OpenAsync(ICacheFiles files, IBackend store, ISeederHost host, SeederOptions? options = null)
    {
        options = (options ?? new SeederOptions()).Validate();
        var kept = new RegionRecordFile(files);
        var record = await kept.ReadAsync();
        if (record.Role == RegionRole.None)
        {
            record = RegionRecord.Begin(options.NewRegion());
            await kept.WriteAsync(record);
        }

        if (record.Role is not (RegionRole.Owner or RegionRole.HandedOver or RegionRole.Released))
            throw new BackendException(BackendError.Leased, $"The region in {files.Name} is on its way here ({record.Role}); end that move before you seed it.");
        var seeder = new Seeder(kept, store, host, options, record);

        // Who has handed the region over leaves the store behind it to the new owner.
        if (record.MayWrite)
            await seeder.BeginMirrorAsync(options.IsBehindSame, CancellationToken.None);
        if (!record.MayWrite)
            seeder._lock = await seeder._door.LockAsync();
        return seeder;
    }

    /// <inheritdoc/>
    public async ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
    {
        bool hasWaited = false, isWrittenBack = false;
        while (true)
        {
            Signal ended;
            bool begins, writesBack = false;
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_closing.IsCancellationRequested, this);
                Hear(request);

                // A hand-over that failed is not begun anew by those who waited for it.
                if (hasWaited && request.Call == SeederCall.Finalize && _state is { Work: SeederWork.None, Record.MayWrite: true })
                    return new SeederReply(SeederAnswer.Busy, _state.Record.Region, _state.Record.Epoch);
                var step = SeederRules.Answer(_state, request);
                if (!isWrittenBack && IsStock(_state, step))
                {
                    begins = JoinWriteBack(out ended);
                    isWrittenBack = writesBack = true;
                }
                else
                {
                    begins = Apply(step);
                    if (step.Reply.Answer != SeederAnswer.Wait)
                        return step.Reply;
                    ended = _workEnded;
                }
            }

            if (begins && writesBack)
                BeginWriteBack(ended);
            else if (begins)
                Begin();
            await ended.WaitAsync(cancellationToken);
            hasWaited = true;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Description.Length, offset, buffer.Length);
        if (MayRead(request) is not { } region)
            return false;
        await _tracking.ReadAsync(offset, buffer, cancellationToken);

        // A take back by force may have come in between, and the program may have written since.
        return MayRead(request) == region;
    }

    /// <inheritdoc/>
    public async ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
    {
        int count = digests.Length / DigestSize;
        ArgumentOutOfRangeException.ThrowIfNegative(firstChunk);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstChunk, _layout.ChunkCount - count);
        byte[] chunk = ArrayPool<byte>.Shared.Rent(_layout.ChunkSize);
        try
        {
            for (int i = 0; i < count; i++)
            {
                var bytes = chunk.AsMemory(0, _layout.LengthOf(firstChunk + i));
                if (!await ReadAsync(request, _layout.OffsetOf(firstChunk + i), bytes, cancellationToken))
                    return false;
                SHA256.HashData(bytes.Span, digests.Span.Slice(i * DigestSize, DigestSize));
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    /// <inheritdoc/>
    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstChunk);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (request.Session != _state.Session || request.Token != _state.Token || _state.Session == 0)
                return new((ChangedPage?)null);
            if (request.Call == SeederCall.Round)
                return new(request.Round == _state.Round && _round is not null ? ChangedPage.Of(_round, null, firstChunk, limit) : null);

            // The last round may not have arrived.
            return new(_last is null ? null : ChangedPage.Of(_last, request.Round == _state.Round ? null : _round, firstChunk, limit));
        }
    }

    /// <summary>
    /// Takes back by force what was handed over, for an operator who knows that the new owner is lost for good. It becomes a region of its own, as
    /// old as the hand-over; what the new owner wrote since is not in it.
    /// </summary>
    /// <returns>Whether it was taken back: not where nothing was handed over, or the new owner has everything.</returns>
    /// <exception cref="InvalidOperationException">A store stands behind the region. It has what the new owner flushed: seed that anew.</exception>
    public async ValueTask<bool> TakeBackByForceAsync(CancellationToken cancellationToken = default)
    {
        if (_mirror is not null)
            throw new InvalidOperationException("The store behind the region has what the new owner flushed, and what is taken back by force is older: seed that store anew.");
        Signal ended;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closing.IsCancellationRequested, this);
            var after = SeederRules.TakeBackByForce(_state, _options.NewRegion());
            if (!Apply(new SeederStep(after, default)))
                return false;
            ended = _workEnded;
        }

        Begin();
        await ended.WaitAsync(cancellationToken);
        return true;
    }

    /// <summary>
    /// Ends the seeder and closes the store, once what goes on has ended or has to be tried again. Those who wait for it are cut off; the record says
    /// where a next one takes up.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        _closing.CancelHere();
        await _work;
        await _writingBack.WhenIdleAsync(CancellationToken.None);
        lock (_gate)
            _session?.Dispose();
        await _door.DisposeAsync();
    }
}
