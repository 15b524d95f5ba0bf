namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>The program whose region moves, on both hosts, as their hooks stop it and let it go on. Sees to it that it never runs on two at once.</summary>
internal sealed class MovedProgram : IAsyncDisposable
{
    private readonly RoundLoad _load;
    private readonly RoundHost[] _hosts;
    private readonly Dictionary<RoundHost, ProcessGroup> _groups = [];
    private readonly Dictionary<RoundHost, State> _states;
    private readonly SemaphoreSlim _lock = new(1);
    private readonly HookServer _hooks;
    private RoundHost? _home;
    private bool _isWaiting;
    private string? _wrong;

    public MovedProgram(RoundLoad load, params RoundHost[] hosts)
    {
        (_load, _hosts) = (load, hosts);
        _states = hosts.ToDictionary(static host => host, static _ => State.None);
        _hooks = new HookServer(AnswerAsync);
    }

    private enum State
    {
        None,
        Runs,
        Stopped,

        /// <summary>The region has left; what is still there must not get anything done.</summary>
        Departed,
    }

    /// <summary>At the next arrival of the region, wait for <see cref="StartAsync"/>.</summary>
    public bool WaitsAfterArrival { get; set; }

    /// <summary>What was seen that must not be; null for nothing.</summary>
    public string? Wrong => Volatile.Read(ref _wrong);

    /// <summary>Whether it runs there.</summary>
    public bool RunsAt(RoundHost host) => _states[host] == State.Runs;

    /// <summary>The process group there.</summary>
    public int GroupAt(RoundHost host) => _groups[host].Id;

    public string CommandFor(RoundHost host) => _hooks.CommandFor(host.Name);

    /// <summary>Starts it where the region is; not where it was stopped just before.</summary>
    public Task StartAsync(RoundHost host, long epoch) => LockedAsync(async () =>
    {
        if (_states[host] == State.Stopped)
            return;
        _home ??= host;
        _isWaiting = false;
        await BeginAsync(host, epoch);
    });

    /// <summary>Stops it there, as a hook does.</summary>
    public Task StopAsync(RoundHost host) => LockedAsync(() => SuspendAsync(host));

    /// <summary>Lets it go on where <see cref="StopAsync"/> stopped it.</summary>
    public Task ContinueAsync(RoundHost host) => LockedAsync(async () =>
    {
        await _groups[host].ContinueAsync();
        _states[host] = State.Runs;
    });

    /// <summary>Kills it there, whether it runs or not.</summary>
    public Task EndAsync(RoundHost host) => LockedAsync(async () =>
    {
        await RemoveAsync(host);
        _states[host] = State.None;
    });

    /// <summary>The mount there was killed, while its host had the region: what was not durable may be lost.</summary>
    public Task CrashAsync(RoundHost host) => LockedAsync(async () =>
    {
        _load.Crashed(host);
        await RemoveAsync(host);
        _states[host] = State.None;
    });

    /// <summary>Lets what is left of it at a host go on, once the region has left: it must fail.</summary>
    public Task LetFailAsync(RoundHost host) => LockedAsync(async () =>
    {
        if (_states[host] != State.Departed || !_groups.TryGetValue(host, out var group))
            return;
        await group.ContinueAsync();
        _states[host] = State.None;
    });

    public async ValueTask DisposeAsync()
    {
        foreach (var group in _groups.Values)
            await group.DisposeAsync();
        await _hooks.DisposeAsync();
        _lock.Dispose();
    }

    private async Task LockedAsync(Func<Task> work)
    {
        await _lock.WaitAsync();
        try
        {
            await work();
        }
        finally
        {
            _lock.Release();
        }
    }

    private async Task<bool> AnswerAsync(HookCall call)
    {
        var host = _hosts.Single(host => host.Name == call.Host);
        bool isOfNow = false;
        await LockedAsync(async () =>
        {
            // Of a start that was killed meanwhile.
            isOfNow = call.Start == host.Incarnation;
            if (!isOfNow)
                return;
            if (call.Event == "suspend")
                await SuspendAsync(host);
            else
                await ResumeAsync(host, call.Epoch);
        });
        return isOfNow;
    }

    private async Task SuspendAsync(RoundHost host)
    {
        if (_groups.TryGetValue(host, out var group))
            await group.StopAsync();
        _states[host] = State.Stopped;
    }

    private async Task ResumeAsync(RoundHost host, long epoch)
    {
        if (_states[host] == State.Stopped && _groups.TryGetValue(host, out var group))
        {
            await group.ContinueAsync();
            _states[host] = State.Runs;
            return;
        }

        if (host.Record is var record && (record.Epoch != epoch || !record.MayWrite))
            _wrong ??= $"the program was let go on at {host.Name} (epoch {epoch}), whose record says {record}";
        if (_home != host)
        {
            var other = _hosts.Single(one => one != host);
            if (_groups.TryGetValue(other, out var left) && !left.IsStopped)
                _wrong ??= $"the program was let go on at {host.Name} (epoch {epoch}) while it runs at {other.Name}";
            if (_states[other] != State.None)
                _states[other] = State.Departed;
            _load.Departed(other, host);
            _isWaiting = WaitsAfterArrival;
        }

        _home = host;
        if (_isWaiting)
            _states[host] = State.None;
        else
            await BeginAsync(host, epoch);
    }

    private async Task BeginAsync(RoundHost host, long epoch)
    {
        await RemoveAsync(host);
        _groups[host] = _load.Start(host, epoch);
        _states[host] = State.Runs;
    }

    private async Task RemoveAsync(RoundHost host)
    {
        if (_groups.Remove(host, out var group))
            await group.DisposeAsync();
    }
}
