namespace Farspan.Backends;

/// <summary>Exclusive ownership of a backend's bytes. Disposing gives it back. Thread-safe.</summary>
public interface ILease : IAsyncDisposable
{
    /// <summary>The number of this ownership; each later one has a higher number.</summary>
    long Epoch { get; }

    /// <summary>
    /// The first epoch since which nobody but holders of this lease's key could change the bytes; null where the store cannot tell. Who had a lower
    /// one before must expect that others have written since.
    /// </summary>
    long? UnbrokenSince { get; }

    /// <summary>
    /// The bytes, as their owner sees them: every write, trim, zero and flush carries the epoch, and fails with
    /// <see cref="BackendError.Fenced"/> once a newer lease was given. Disposing it does nothing; dispose the lease.
    /// </summary>
    IBackend Backend { get; }

    /// <summary>Cancelled once the lease is known to be lost.</summary>
    CancellationToken Lost { get; }
}
