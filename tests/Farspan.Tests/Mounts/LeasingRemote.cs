using Farspan.Backends;

namespace Farspan.Tests.Mounts;

/// <summary>A remote in memory with a lease for one at a time.</summary>
internal sealed class LeasingRemote(long length) : IBackend, ILeasing
{
    private readonly KeptBackend _bytes = new(new MemoryBackend(length));
    private Lease? _lease;
    private long _epoch;

    public long Length => _bytes.Length;

    public bool IsReadOnly => false;

    /// <summary>Called when the lease is asked for.</summary>
    public Action Acquiring { get; set; } = static () => { };

    /// <summary>Under which key it was asked for last.</summary>
    public Guid? LastKey { get; private set; }

    public ValueTask<ILease> AcquireAsync(string holder, Guid? key = null, CancellationToken cancellationToken = default)
    {
        LastKey = key;
        Acquiring();
        if (_lease is not null)
            throw new BackendException(BackendError.Leased, $"The remote is leased to {_lease.Holder}.");
        _lease = new Lease(this, holder, ++_epoch);
        return new ValueTask<ILease>(_lease);
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => _bytes.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => throw new InvalidOperationException("Written without the lease.");

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => throw new InvalidOperationException("Flushed without the lease.");

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => this as TCapability;

    public ValueTask DisposeAsync() => default;

    private sealed class Lease(LeasingRemote remote, string holder, long epoch) : ILease
    {
        public string Holder => holder;

        public long Epoch => epoch;

        public long? UnbrokenSince => null;

        public IBackend Backend => remote._bytes;

        public CancellationToken Lost => CancellationToken.None;

        public ValueTask DisposeAsync()
        {
            remote._lease = null;
            return default;
        }
    }
}
