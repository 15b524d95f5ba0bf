using Farspan.Backends;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>A lease that the server gave this client. It lives on as long as the client gives signs of life, over lost connections too.</summary>
internal sealed class FarspanLease : ILease
{
    private readonly WireLink _link;
    private readonly CancellationTokenSource _lost = new();
    private readonly Guid _key;
    private readonly string _holder;
    private readonly TimeSpan _renewEvery;
    private readonly Lock _gate = new();
    private long _renewed;
    private bool _isRenewing;
    private Task? _releasing;

    public FarspanLease(FarspanClientBackend client, WireLink link, Guid key, string holder, long epoch, long? unbrokenSince)
    {
        _link = link;
        _key = key;
        _holder = holder;
        Epoch = epoch;
        UnbrokenSince = unbrokenSince;
        Backend = new LeasedBackend(client, epoch);
        Lost = _lost.Token;
        _renewEvery = TimeSpan.FromMilliseconds(link.Hello.LeaseMilliseconds) / 3;
        _renewed = link.Options.Clock.GetTimestamp();
    }

    public long Epoch { get; }

    public long? UnbrokenSince { get; }

    public IBackend Backend { get; }

    public CancellationToken Lost { get; }

    public ValueTask DisposeAsync()
    {
        lock (_gate)
            return new ValueTask(_releasing ??= ReleaseAsync());
    }

    /// <summary>The server said that a newer lease was given, or that this one is over.</summary>
    public void MarkLost() => _ = _lost.CancelAsync();

    /// <summary>Gives a sign of life where the last one is a while ago.</summary>
    public void RenewIfDue()
    {
        var clock = _link.Options.Clock;
        lock (_gate)
        {
            if (_isRenewing || _releasing is not null || Lost.IsCancellationRequested || clock.GetElapsedTime(_renewed) < _renewEvery)
                return;
            _isRenewing = true;
            _renewed = clock.GetTimestamp();
        }

        _ = RenewAsync();
    }

    /// <summary>Asks a server that was started anew for the same lease. One that knows nothing of it has given it up.</summary>
    /// <exception cref="BackendException">The connection failed.</exception>
    public async Task ResumeAsync(WireLane lane)
    {
        if (Lost.IsCancellationRequested)
            return;
        var answer = new WireAnswer();
        var request = _link.Rent();
        request.Prepare(WireOperation.LeaseAcquire, 0, 0, epoch: 0);
        request.Payload = new LeaseRequest(_key, _holder).ToBytes();
        request.Answer = answer;
        try
        {
            await _link.SubmitOn(lane, request);
        }
        catch (BackendException error) when (!error.IsTransient && error.Error != BackendError.ShuttingDown)
        {
            MarkLost();
            return;
        }

        if (answer.Epoch == Epoch)
            return;
        MarkLost();
        var release = _link.Rent();
        release.Prepare(WireOperation.LeaseRelease, 0, 0, answer.Epoch);
        await _link.SubmitOn(lane, release);
    }

    private async Task RenewAsync()
    {
        try
        {
            await Ask(WireOperation.LeaseRenew);
        }
        catch (Exception error) when (error is BackendException or ObjectDisposedException)
        {
            // A lease that is over was marked with the reply; everything else is tried again.
        }

        lock (_gate)
            _isRenewing = false;
    }

    private async Task ReleaseAsync()
    {
        try
        {
            if (!Lost.IsCancellationRequested)
                await Ask(WireOperation.LeaseRelease);
        }
        catch (Exception error) when (error is BackendException or ObjectDisposedException)
        {
            // It then ends with the client's leave, or with the time for silent holders.
        }

        lock (_link.Gate)
        {
            if (ReferenceEquals(_link.Lease, this))
                _link.Lease = null;
        }
    }

    private ValueTask Ask(WireOperation operation)
    {
        var request = _link.Rent();
        request.Prepare(operation, 0, 0, Epoch);
        return _link.Submit(request, CancellationToken.None);
    }
}
