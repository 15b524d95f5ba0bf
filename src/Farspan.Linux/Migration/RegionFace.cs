using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Linux.Migration;

/// <summary>
/// A region as an attachment shows it: calls pass, are held back while it is not sure whose the region is, or fail once it is another host's. Calls
/// that hold, refuse and open come one at a time.
/// </summary>
/// <remarks>
/// Nothing that is held back has gone further: who waits below, where a seeder waits for ever, would keep the kernel from dropping the pages that it
/// waits for.
/// </remarks>
#pragma warning disable CA1001 // The gate has nothing of its own to free, and would dispose the region below, which stays its owner's.
internal sealed class RegionFace(IBackend region)
#pragma warning restore CA1001
{
    private readonly LockGateStage _gate = new(region);
    private GateLock? _lock;

    /// <summary>What the attachment shows. The region below stays its owner's to dispose.</summary>
    public IBackend Backend => _gate;

    /// <summary>Holds calls back, and returns once those under way have ended.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; calls pass.</exception>
    public async ValueTask HoldAsync(CancellationToken cancellationToken) => _lock ??= await _gate.LockAsync(GateScope.Everything, cancellationToken);

    /// <summary>Fails what is held back, and whatever comes until <see cref="Open"/>. Nothing where calls pass.</summary>
    public void Refuse(string why) => _lock?.Refuse(new BackendException(BackendError.Fenced, why));

    /// <summary>Lets calls pass.</summary>
    public void Open()
    {
        _lock?.Dispose();
        _lock = null;
    }
}
