namespace Farspan.Mounts.Remotes;

/// <summary>One wait that an outage may end. The gate of its <see cref="OutageMonitor"/> guards it.</summary>
internal sealed class OutageWatch(OutageMonitor owner, TimeProvider clock) : IDisposable
{
    private readonly CancellationTokenSource _source = new(Timeout.InfiniteTimeSpan, clock);

    /// <summary>Cancelled when an outage has lasted too long in this wait, or the caller gives up.</summary>
    public CancellationToken Token => _source.Token;

    public LinkedListNode<OutageWatch>? Node { get; set; }

    /// <summary>Cancels after a time; never, for <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    public void Arm(TimeSpan time) => _source.CancelAfter(time);

    public void Cancel() => _source.Cancel();

    public void Dispose()
    {
        owner.Unwatch(this);
        _source.Dispose();
    }
}
