using Farspan.Backends;
using Farspan.Transports;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>The background of a link: its watch, connecting again after a loss, and giving a new server what the old one had not flushed.</summary>
internal sealed class LinkSupervisor : IAsyncDisposable
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(20);

    private readonly WireLink _link;
    private readonly FarspanClientOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _lost = new(0);
    private readonly ITimer _timer;
    private readonly Task _loop;
    private readonly Lock _gate = new();
    private IReadOnlyList<WireLane> _lanes;
    private Guid _instance;
    private Task? _closing;

    private LinkSupervisor(WireLink link, IReadOnlyList<WireLane> lanes)
    {
        _link = link;
        _options = link.Options;
        _lanes = lanes;
        _instance = link.Hello.Instance;
        link.Lost = () => _lost.Release();
        var period = TimeSpan.FromTicks(Math.Clamp(
            Math.Min(_options.RequestTimeout.Ticks, Math.Max(_options.ReconnectTimeout.Ticks, TimeSpan.TicksPerMillisecond)) / 8,
            5 * TimeSpan.TicksPerMillisecond, 250 * TimeSpan.TicksPerMillisecond));
        _timer = _options.Clock.CreateTimer(static supervisor => ((LinkSupervisor)supervisor!).Watch(), this, period, period);
        _loop = Task.Run(RunAsync);
    }

    /// <summary>Connects to a region that is being moved, or to a backend.</summary>
    /// <exception cref="BackendException">The server cannot be reached or refuses, or the export is the other of the two.</exception>
    public static async Task<(WireLink Link, LinkSupervisor Supervisor)> ConnectAsync(
        FarspanClientOptions options, bool isMoving, CancellationToken cancellationToken)
    {
        var session = Guid.NewGuid();
        var (line, hello) = await Task.Run(() => LinkOpening.Open(options, session, 0, cancellationToken), cancellationToken);
        var link = new WireLink(options, hello, session);
        var lanes = new List<WireLane> { Lane(link, line, hello) };
        try
        {
            CheckKind(options, hello, isMoving);
            await Task.Run(() => OpenOthers(link, lanes, cancellationToken), cancellationToken);
        }
        catch
        {
            await EndAsync(lanes);
            throw;
        }

        var supervisor = new LinkSupervisor(link, lanes);
        if (!link.TrySetUp(lanes))
        {
            await supervisor.DisposeAsync();
            throw lanes.Select(static lane => lane.Failure).OfType<BackendException>().First();
        }

        return (link, supervisor);
    }

    /// <summary>Ends the calls that are under way, within the options' time for closing, and takes leave.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_gate)
            return new ValueTask(_closing ??= CloseAsync());
    }

    private static void CheckKind(FarspanClientOptions options, in ServerHello hello, bool isMoving)
    {
        bool isOfMoving = (hello.Capabilities & WireCapabilities.Moving) != 0;
        if (isOfMoving && !isMoving)
            throw new BackendException(BackendError.NotSupported, $"{options.Name} is a region that is being moved and can be opened by its destination only: use farspan leech.");
        if (isMoving && !isOfMoving)
            throw new BackendException(BackendError.NotSupported, $"{options.Name} is no region that is being moved: at its source, use farspan seed.");
    }

    private static WireLane Lane(WireLink link, ByteChannel line, ServerHello hello)
    {
        var lane = new WireLane(link, line, hello, Math.Min(link.Options.RequestsPerConnection, hello.MaximumInFlight));
        lane.Start();
        return lane;
    }

    private static void OpenOthers(WireLink link, List<WireLane> lanes, CancellationToken cancellationToken)
    {
        int count = Math.Min(link.Options.Connections, lanes[0].Hello.MaximumConnections);
        while (lanes.Count < count)
        {
            var (line, hello) = LinkOpening.Open(link.Options, link.Session, lanes.Count, cancellationToken);
            lanes.Add(Lane(link, line, hello));
            if (hello.Instance != lanes[0].Hello.Instance)
                throw new BackendException(BackendError.Disconnected, $"The Farspan server {link.Options.Name} was started anew while connecting.");
        }
    }

    private static async Task EndAsync(IReadOnlyList<WireLane> lanes)
    {
        foreach (var lane in lanes)
            lane.Abort();
        await Task.WhenAll(lanes.Select(static lane => lane.Ended));
    }

    private void Watch()
    {
        _link.Watch();
        _link.Lease?.RenewIfDue();
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await _lost.WaitAsync(_stop.Token);
                await ReconnectAsync(_stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Closing.
        }
    }

    private async Task ReconnectAsync(CancellationToken cancellationToken)
    {
        for (var delay = FirstDelay; ; delay = delay * 2 < _options.MaximumReconnectDelay ? delay * 2 : _options.MaximumReconnectDelay)
        {
            await EndAsync(_lanes);
            var lanes = new List<WireLane>();
            _lanes = lanes;
            try
            {
                await Task.Run(() => Open(lanes, cancellationToken), cancellationToken);
                if (lanes[0].Hello.Instance != _instance)
                    await RestoreAsync(lanes[0]);
                _instance = lanes[0].Hello.Instance;
                if (_link.TrySetUp(lanes))
                    return;
            }
            catch (BackendException error)
            {
                if (!error.IsTransient)
                    _link.FailWaiting(error);
            }

            await Task.Delay(delay, _options.Clock, cancellationToken);
        }
    }

    private void Open(List<WireLane> lanes, CancellationToken cancellationToken)
    {
        var (line, hello) = LinkOpening.Open(_options, _link.Session, 0, cancellationToken);
        lanes.Add(Lane(_link, line, hello));
        bool isOfOtherChunks = (hello.Capabilities & WireCapabilities.Moving) != 0 && hello.PreferredBlock != _link.Hello.PreferredBlock;
        if (hello.Length != _link.Hello.Length || (hello.Capabilities ^ _link.Hello.Capabilities) != 0 || isOfOtherChunks || hello.MaximumPayload < _link.Hello.MaximumPayload)
            throw new BackendException(BackendError.Invalid, $"{_options.Name} is no longer what it was: its length or what it offers has changed. Open it again.");
        OpenOthers(_link, lanes, cancellationToken);
    }

    /// <summary>Gives a server that was started anew the lease and the writes that the one before may have lost.</summary>
    private async Task RestoreAsync(WireLane lane)
    {
        if (_link.Lease is { } lease)
            await lease.ResumeAsync(lane);
        IReadOnlyList<KeptWrite> writes;
        lock (_link.Gate)
            writes = _link.Log.Acknowledged();
        var running = new List<(KeptWrite Write, Task Task)>();
        int width = Math.Min(32, lane.Slots.Count - 1);
        BackendException? refusal = null;
        foreach (var write in writes)
        {
            // What overlaps must come in order; all else may run at once.
            if (running.Count == width || running.Exists(other => Overlap(other.Write, write)))
                refusal ??= await SettleAsync(running);
            var request = _link.Rent();
            request.Prepare(write.IsZero ? WireOperation.Zero : WireOperation.Write, write.Offset, write.Length, write.Epoch, write.Mode);
            request.Kept = write;
            running.Add((write, _link.SubmitOn(lane, request).AsTask()));
        }

        refusal ??= await SettleAsync(running);
        if (refusal is not null)
        {
            _link.LoseWrites(new BackendException(
                refusal.Error, $"The server of {_options.Name} was started anew and refused writes that it had not flushed; they are lost: {refusal.Message}", refusal, isTransient: false));
        }
    }

    private static bool Overlap(KeptWrite one, KeptWrite other)
        => one.Offset < other.Offset + other.Length && other.Offset < one.Offset + one.Length;

    /// <summary>Waits for all; what the server refused for good comes back, what a new connection may mend is thrown.</summary>
    private static async Task<BackendException?> SettleAsync(List<(KeptWrite Write, Task Task)> running)
    {
        BackendException? refusal = null;
        BackendException? loss = null;
        foreach (var (_, task) in running)
        {
            try
            {
                await task;
            }
            catch (BackendException error)
            {
                if (error.IsTransient || error.Error is BackendError.ShuttingDown)
                    loss ??= error;
                else
                    refusal ??= error;
            }
        }

        running.Clear();
        return loss is null ? refusal : throw loss;
    }

    private async Task CloseAsync()
    {
        var lanes = _link.BeginClose();
        using var limit = new CancellationTokenSource(_options.CloseTimeout, _options.Clock);
        await WithinAsync(_link.Idle, limit.Token);
        await _stop.CancelAsync();
        await _loop;
        foreach (var lane in lanes)
            lane.Leave();
        await WithinAsync(Task.WhenAll(lanes.Select(static lane => lane.Ended)), limit.Token);
        await EndAsync([.. lanes, .. _lanes]);
        _link.FailWaiting(new ObjectDisposedException(nameof(FarspanClientBackend)));
        await _link.Idle;
        await _timer.DisposeAsync();
        _stop.Dispose();
        _lost.Dispose();
    }

    private static async Task WithinAsync(Task task, CancellationToken limit)
    {
        try
        {
            await task.WaitAsync(limit);
        }
        catch (OperationCanceledException)
        {
            // The rest is ended by force.
        }
    }
}
