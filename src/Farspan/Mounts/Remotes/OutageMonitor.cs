using Farspan.Backends;
using Farspan.Waiting;

namespace Farspan.Mounts.Remotes;

/// <summary>
/// Knows whether the remote answers. A transient failure begins an outage; it lasts until a call succeeds, of a caller or of the monitor's own
/// probes, which come with growing delays. Thread-safe.
/// </summary>
internal sealed class OutageMonitor
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly LinkedList<OutageWatch> _watches = new();
    private readonly ManagedMountOptions _options;
    private readonly RunningTasks _tasks;
    private readonly CancellationToken _closed;
    private readonly Random _random;
    private MountOutage? _outage;
    private Signal? _ended;

    public OutageMonitor(ManagedMountOptions options, RunningTasks tasks, CancellationToken closed)
    {
        _options = options;
        _tasks = tasks;
        _closed = closed;
        _random = new Random(options.Seed);
    }

    /// <summary>Makes one small call to the remote, which reports how it went.</summary>
    public Func<Task>? Probe { get; set; }

    /// <summary>Is told when an outage ends.</summary>
    public Action? Ended { get; set; }

    /// <summary>The outage that lasts, or null.</summary>
    public MountOutage? Current => Volatile.Read(ref _outage);

    public bool IsDown => Current is not null;

    /// <summary>Whether calls that need the remote may wait for it.</summary>
    public bool MayWait => _options.OnOutage == OutageBehavior.Wait;

    /// <summary>A call failed because the remote did not answer.</summary>
    public void Failed(BackendException error)
    {
        bool isNew;
        MountOutage outage;
        lock (_gate)
        {
            isNew = _outage is null;
            outage = _outage = new MountOutage(_outage?.Since ?? _options.Clock.GetUtcNow(), error);
            if (isNew)
            {
                _ended = new Signal();
                foreach (var watch in _watches)
                    watch.Arm(Patience);
            }
        }

        if (!isNew)
            return;
        _options.Hooks.OutageBegan?.Invoke(outage);
        if (Probe is not null)
            _tasks.Run(static monitor => monitor.ProbeAsync(), this);
    }

    /// <summary>A call was answered.</summary>
    public void Succeeded()
    {
        if (!IsDown)
            return;
        MountOutage? outage;
        Signal? ended;
        lock (_gate)
        {
            outage = _outage;
            ended = _ended;
            _outage = null;
            _ended = null;
            foreach (var watch in _watches)
                watch.Arm(Timeout.InfiniteTimeSpan);
        }

        if (outage is null)
            return;
        ended!.Set();
        _options.Hooks.OutageEnded?.Invoke(outage);
        Ended?.Invoke();
    }

    /// <summary>Returns when the remote answers, at once where it does.</summary>
    public Task WaitUntilUpAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
            return _ended?.WaitAsync(cancellationToken) ?? Task.CompletedTask;
    }

    /// <summary>Waits for something that the remote has to do first, as long as the mount's options allow in an outage.</summary>
    /// <exception cref="BackendException">An outage lasted too long (<see cref="BackendError.TimedOut"/>).</exception>
    public async Task WaitAsync(Signal done, CancellationToken cancellationToken)
    {
        using var watch = new OutageWatch(this, _options.Clock);
        lock (_gate)
        {
            watch.Node = _watches.AddLast(watch);
            if (_outage is not null)
                watch.Arm(Patience);
        }

        try
        {
            await using (cancellationToken.UnsafeRegister(static state => ((OutageWatch)state!).Cancel(), watch))
                await done.WaitAsync(watch.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Expired();
        }
        catch (OperationCanceledException cancelled)
        {
            throw new OperationCanceledException(cancelled.Message, cancelled, cancellationToken);
        }
    }

    /// <summary>The failure of a call that an outage ended.</summary>
    public BackendException Expired()
    {
        var outage = Current;
        string since = outage is null ? "" : $" since {outage.Since:u}";
        return new BackendException(
            BackendError.TimedOut, $"The remote does not answer{since}: {outage?.LastError.Message ?? "it has only just come back"}", outage?.LastError);
    }

    internal void Unwatch(OutageWatch watch)
    {
        lock (_gate)
            _watches.Remove(watch.Node!);
    }

    private TimeSpan Patience => MayWait ? _options.OutageTimeout : TimeSpan.Zero;

    private async Task ProbeAsync()
    {
        var delay = FirstDelay;
        while (IsDown && !_closed.IsCancellationRequested)
        {
            try
            {
                // Between half of the delay and all of it, so that many mounts do not come back at once.
                await Task.Delay(delay * (0.5 + (0.5 * Draw())), _options.Clock, _closed);
                if (IsDown)
                    await Probe!();
            }
            catch (BackendException)
            {
                delay = delay * 2 < LongestDelay ? delay * 2 : LongestDelay;
            }
            catch (OperationCanceledException) when (_closed.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private double Draw()
    {
        lock (_gate)
            return _random.NextDouble();
    }
}
