namespace Farspan.Backends;

/// <summary>The power to give one writer at a time exclusive ownership, fenced by an epoch.</summary>
public interface ILeasing
{
    /// <summary>Takes the lease, with an epoch above all that were given before.</summary>
    /// <param name="holder">Who takes it, in words for the error message of the next who asks.</param>
    /// <param name="cancellationToken">Gives up waiting for the store.</param>
    /// <exception cref="BackendException">
    /// Another holds it (<see cref="BackendError.Leased"/>; the message names the holder), or the store failed.
    /// </exception>
    ValueTask<ILease> AcquireAsync(string holder, CancellationToken cancellationToken = default);
}
