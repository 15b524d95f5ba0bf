namespace Farspan.Backends;

/// <summary>The power to give one writer at a time exclusive ownership, fenced by an epoch.</summary>
public interface ILeasing
{
    /// <summary>Takes the lease, with an epoch above all that were given before.</summary>
    /// <param name="holder">Who takes it, in words for the error message of the next who asks.</param>
    /// <param name="key">
    /// The holder's secret, not empty: with the one of the present holder the lease is taken over from him at once, as one does who was killed and
    /// comes back. Null: a new one.
    /// </param>
    /// <param name="cancellationToken">Gives up waiting for the store.</param>
    /// <exception cref="BackendException">
    /// Another holds it (<see cref="BackendError.Leased"/>; the message names the holder), or the store failed.
    /// </exception>
    ValueTask<ILease> AcquireAsync(string holder, Guid? key = null, CancellationToken cancellationToken = default);
}
