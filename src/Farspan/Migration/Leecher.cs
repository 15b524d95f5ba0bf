using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Migration.Finalizing;
using Farspan.Mounts.Caching;
using Farspan.Stages;
using Farspan.Waiting;

namespace Farspan.Migration;

/// <summary>
/// The host that a region goes to: copies it while its program runs at the seeder, takes it over when the policy or the operator says so, and brings
/// what is missing then. Owns the local store. Thread-safe.
/// </summary>
/// <remarks>The rules are <see cref="LeecherRules"/>; this carries out what they say. Its loops run on the task scheduler that it was opened on.</remarks>
internal sealed partial class Leecher : IAsyncDisposable
{
    private readonly RegionRecordFile _kept;
    private readonly ISeeder _seeder;
    private readonly ILeecherHost _host;
    private readonly LeecherOptions _options;
    private readonly RegionCopy _copy;
    private readonly ChunkComparison _comparison;
    private readonly CopyPull _pull;
    private readonly CopyVerification _verification;
    private readonly HereLog _log;
    private readonly PreCopyWatch _watch;
    private readonly MirrorStage? _mirror;
    private readonly LockGateStage _door;
    private readonly ChunkRangeLock _filesTurn = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly WakeUp _wake = new();

    // Whether this host gets the region. The tasks that tell others of it are waited for outside only: to wait for one of several would leave a simulation.
    private readonly Signal _decided = new();
    private readonly ITimer _alarm;
    private readonly TaskCompletionSource _accepted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<bool> _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenSource _asking = new();
    private LeecherState _state;
    private GateLock? _lock;
    private Task _living = Task.CompletedTask;
    private Task _pulling = Task.CompletedTask;
    private Task _owning = Task.CompletedTask;
    private bool _isFinalizeWanted;
    private bool _isGivingUp;
    private bool _isWatching;
    private bool _isSeederLost;
    private bool _isHandOverAsked;
    private long? _handOverFrom;
    private TimeSpan? _handOverTime;
    private string? _trouble;

    private Leecher(ICacheFiles files, RegionRecordFile kept, RegionCopy copy, ISeeder seeder, ILeecherHost host, LeecherOptions options, RegionRecord record)
    {
        _kept = kept;
        _seeder = seeder;
        _host = host;
        _options = options;
        _copy = copy;
        _state = LeecherRules.Start(record, generation: 1);
        _log = new HereLog(files, copy.Layout);
        _watch = new PreCopyWatch(options.Clock, copy.Layout.Length);
        var rules = new Rules(this);
        _comparison = new ChunkComparison(copy, seeder, rules, options.Sources);
        _pull = new CopyPull(copy, seeder, rules, _comparison, options, _closing.Token);
        _verification = new CopyVerification(copy, seeder, rules, options);
        IBackend receiving = new ReceivingStage(copy, _pull, FlushAsync);
        if (options.Behind is not null)
            receiving = _mirror = new MirrorStage(receiving, copy.Layout.ChunkSize, options.Clock, options.RetryDelay);
        _door = new LockGateStage(receiving);
        _alarm = options.Clock.CreateTimer(static state => ((WakeUp)state!).Set(), _wake, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The region as its program sees it. Calls wait until the region is this host's; what is missing then is fetched first.</summary>
    public IBackend Backend => _door;

    /// <summary>What this host is to the region, as far as it has it durably.</summary>
    public RegionRecord Record
    {
        get
        {
            lock (_copy.Gate)
                return _state.Record;
        }
    }

    /// <summary>How far it is.</summary>
    public LeecherStatus Status
    {
        get
        {
            lock (_copy.Gate)
            {
                long missing = _copy.MissingChunks == _copy.Layout.ChunkCount ? _copy.Layout.Length : Math.Min(_copy.MissingChunks * _copy.Layout.ChunkSize, _copy.Layout.Length);
                return new LeecherStatus(
                    _state.Record.Role, _copy.Layout.Length, missing, _pull.Received, _comparison.Found, _verification.Verified, _state.Round,
                    _pull.Window.Rate, _handOverTime);
            }
        }
    }

    /// <summary>What failed last, and is tried again; null where nothing did.</summary>
    public string? Trouble => Volatile.Read(ref _trouble) ?? _pull.Failure?.Message;

    /// <summary>Completes when the program runs here; at once where it may as the leecher is opened. Cancelled where it never will.</summary>
    public Task Accepted => _accepted.Task;

    /// <summary>
    /// Completes when the move has ended: true where all is here, durable, and the seeder has let go; false where it was given up. Cancelled when the leecher
    /// is closed before.
    /// </summary>
    public Task<bool> Completed => _completed.Task;

    /// <summary>Takes up a move where the record says it stands; without one, or where this host has let go, it begins.</summary>
    /// <param name="files">Where the record is; stays the caller's.</param>
    /// <param name="local">Where the region goes, as long as it is. The leecher owns it once this returns.</param>
    /// <param name="seeder">The host that has it; stays the caller's.</param>
    /// <param name="host">Starts the program. It may run once this returns, where <see cref="Record"/> says that this host may write.</param>
    /// <param name="options">How to work.</param>
    /// <param name="cancellationToken">Gives the opening up.</param>
    /// <exception cref="BackendException">
    /// The record or the store cannot be read, the store has another length (<see cref="BackendError.Invalid"/>), or this host is the source of a move
    /// that has not ended (<see cref="BackendError.Leased"/>).
    /// </exception>
    public static async ValueTask<Leecher> OpenAsync(
        ICacheFiles files, IBackend local, ISeeder seeder, ILeecherHost host, LeecherOptions? options = null, CancellationToken cancellationToken = default)
    {
        options = (options ?? new LeecherOptions()).Validate();
        var layout = new ChunkLayout(seeder.Description.Length, seeder.Description.ChunkSize);
        if (local.Length != layout.Length)
            throw new BackendException(BackendError.Invalid, $"The local store has {local.Length} bytes, and the region {layout.Length}.");
        if (local.IsReadOnly)
            throw new BackendException(BackendError.ReadOnly, "The local store cannot be written.");
        if (options.Behind is { } behind && (!seeder.Description.IsBacked || behind.Store.Length != layout.Length))
            throw new BackendException(BackendError.Invalid, "The seeder has no store behind the region, or one of another length: none can be used here.");
        var kept = new RegionRecordFile(files);
        var record = await kept.ReadAsync();
        if (record.Role == RegionRole.HandedOver)
            throw new BackendException(BackendError.Leased, $"The region in {files.Name} is on its way from here; end that move before you fetch it back.");
        var copy = await RegionCopy.OpenAsync(local, layout);
        var leecher = new Leecher(files, kept, copy, seeder, host, options, record);
        await leecher.StartAsync(cancellationToken);
        return leecher;
    }

    /// <summary>Asks for the hand-over as soon as it can be, whatever the policy says.</summary>
    public void RequestFinalize()
    {
        lock (_copy.Gate)
            _isFinalizeWanted = true;
        _wake.Set();
    }

    /// <summary>
    /// The seeder is lost for good, as the operator knows: once everything is here the move ends without it. What only it has never comes, unless a store
    /// stands behind the region.
    /// </summary>
    public void ForgetSeeder()
    {
        lock (_copy.Gate)
        {
            _isSeederLost = true;
            _asking.CancelHere();
        }

        _wake.Set();
    }

    /// <summary>Gives the move up, if the region is not this host's yet: the program goes on at the seeder.</summary>
    /// <returns>Whether it was given up; completes when the seeder knows.</returns>
    /// <exception cref="OperationCanceledException">Cancelled; it is given up all the same as soon as the seeder can be told.</exception>
    public async ValueTask<bool> GiveUpAsync(CancellationToken cancellationToken = default)
    {
        lock (_copy.Gate)
        {
            _isGivingUp = true;
            _asking.CancelHere();
        }

        _wake.Set();
        await _decided.WaitAsync(cancellationToken);
        return _completed.Task is { IsCompletedSuccessfully: true, Result: false };
    }

    /// <summary>Ends the leecher and closes the local store, wherever the move stands; the record says where a next one takes up.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_copy.Gate)
        {
            _closing.CancelHere();
            _asking.CancelHere();
        }

        _wake.Set();
        await _living;
        await _pulling;
        await _owning;
        _accepted.TrySetCanceled();
        _completed.TrySetCanceled();
        _decided.Set();
        await _door.DisposeAsync();
        await _log.DisposeAsync();
        await _alarm.DisposeAsync();
        _pull.Dispose();
    }

    private async ValueTask StartAsync(CancellationToken cancellationToken)
    {
        if (_state.Record.Role == RegionRole.Owner)
        {
            _copy.Recover(0, _copy.Layout.ChunkCount);
            _copy.Settle();
        }

        if (_state.Record.Role == RegionRole.Receiving)
        {
            foreach (var run in await _log.ReadAsync(_state.Record.Token))
                _copy.Recover(run.FirstChunk, run.Count);
        }

        // The seeder may have been started with other chunks since.
        if (_state.Record.Role == RegionRole.Following)
            await _log.BeginAsync(_state.Record.Token);

        if (_state.MayRun)
            Accept(isNew: false);
        else
            _lock = await _door.LockAsync(cancellationToken: cancellationToken);
        _pulling = _pull.RunAsync();
        _living = LiveAsync();
    }

    private void Accept(bool isNew)
    {
        if (_mirror is not null)
            _owning = OwnBehindAsync(_options.Behind!, _mirror, isNew);
        _accepted.TrySetResult();
        _decided.Set();
    }

    // The program does not wait for it: its flushes do. A run before this one may have written what it could not carry there.
    private async Task OwnBehindAsync(StoreBehind behind, MirrorStage mirror, bool isNew)
    {
        await Task.Yield();
        while (!IsClosing)
        {
            try
            {
                mirror.Begin(await behind.OwnAsync(Record.Region, _closing.Token), isSame: isNew, token => behind.RegainAsync(Record.Region, token));
                return;
            }
            catch (Exception failure) when (failure is BackendException or OperationCanceledException)
            {
                Volatile.Write(ref _trouble, failure.Message);
            }

            try
            {
                await Task.Delay(_options.RetryDelay, _options.Clock, _closing.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        RegionRecord record;
        lock (_copy.Gate)
            record = _state.Record;
        if (record.Role == RegionRole.Owner)
        {
            await _copy.Local.Backend.FlushAsync(cancellationToken);
            return;
        }

        // What is durable afterwards is what was here before.
        var hold = await _filesTurn.AcquireAsync(0, 0, exclusive: true, cancellationToken);
        var here = _copy.TakeUnlogged();
        bool isKept = false;
        try
        {
            await _copy.Local.Backend.FlushAsync(cancellationToken);
            await _log.AddAsync(record.Token, here);
            isKept = true;
        }
        finally
        {
            if (!isKept)
                _copy.ReturnUnlogged(here);
            _filesTurn.Release(hold);
        }
    }
}
