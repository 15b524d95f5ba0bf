namespace Farspan.Backends.Leases;

/// <summary>A lease as it is kept.</summary>
/// <param name="Epoch">Its number.</param>
/// <param name="Since">The first epoch since which nobody but holders of this key could write.</param>
/// <param name="Session">Whose it is; empty once it was given back.</param>
/// <param name="Key">The holder's secret, the same each time he comes back; empty once somebody without a lease could write.</param>
/// <param name="Holder">Who holds it, in words.</param>
internal sealed record LeaseRecord(long Epoch, long Since, Guid Session, Guid Key, string Holder)
{
    /// <summary>How far the lease has come: held, given back, and then written by somebody without one.</summary>
    public int Stage => Session != Guid.Empty ? 0 : Key != Guid.Empty ? 1 : 2;
}
