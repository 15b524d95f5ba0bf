namespace Farspan.Backends.Leases;

/// <summary>The lease of a store that this process has locked. It can only be lost to the same holder.</summary>
internal sealed class LocalLease(IBackend store, LeaseGate gate, LeaseRecord given) : ILease
{
    public long Epoch => given.Epoch;

    public long? UnbrokenSince => given.Since;

    public IBackend Backend { get; } = new GatedBackend(store, gate, given.Session, given.Epoch);

    public CancellationToken Lost => CancellationToken.None;

    public ValueTask DisposeAsync()
    {
        gate.Release(given.Session, given.Epoch);
        return default;
    }
}
