using Farspan.Backends;
using Farspan.Backends.Leases;

namespace Farspan.TestKit.Simulation;

/// <summary>A lease that was given to the process of one host, which gives signs of life as long as it lives. One thread.</summary>
internal sealed class SimulatedLease : ILease
{
    private readonly LeaseRecord _given;
    private readonly SimulatedLeaseServer _server;
    private readonly TimeProvider _clock;
    private readonly Guid _session;
    private readonly Func<Func<ValueTask>, ValueTask> _call;
    private readonly CancellationTokenSource _lost = new();
    private bool _isGivenBack;

    public SimulatedLease(
        LeaseRecord given, SimulatedLeaseServer server, TimeProvider clock, Guid session, Func<Func<ValueTask>, ValueTask> call,
        Func<SimulatedLease, IBackend> backend)
    {
        _given = given;
        _server = server;
        _clock = clock;
        _session = session;
        _call = call;
        Backend = backend(this);
    }

    public long Epoch => _given.Epoch;

    public long? UnbrokenSince => _given.Since;

    public IBackend Backend { get; }

    public CancellationToken Lost => _lost.Token;

    public void Start() => _ = RenewAsync();

    public void MarkLost() => _lost.Cancel();

    public async ValueTask DisposeAsync()
    {
        _isGivenBack = true;
        try
        {
            await _call(() =>
            {
                _server.Gate.Release(_session, Epoch);
                return default;
            });
        }
        catch (BackendException)
        {
            // It lapses.
        }
    }

    private async Task RenewAsync()
    {
        while (!_isGivenBack && !_lost.IsCancellationRequested)
        {
            await Task.Delay(_server.LeaseTimeout / 3, _clock);
            bool isHeld = true;
            try
            {
                await _call(() =>
                {
                    isHeld = _server.Gate.TryRenew(_session, Epoch);
                    return default;
                });
            }
            catch (BackendException)
            {
                // Tried again.
                continue;
            }

            if (!isHeld && !_isGivenBack)
                MarkLost();
        }
    }
}
