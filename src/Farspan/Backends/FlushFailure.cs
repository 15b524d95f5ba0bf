namespace Farspan.Backends;

/// <summary>
/// Remembers that a flush failed. The kernel reports a failed write-back once and then forgets it, and marks the pages clean: a later fsync
/// that succeeds says nothing about them. So a backend whose flush failed once keeps failing flushes until it is opened again.
/// </summary>
/// <remarks>All members may be called from any thread.</remarks>
public sealed class FlushFailure
{
    private volatile BackendException? _first;

    /// <summary>Throws when a flush failed before.</summary>
    /// <param name="what">What the backend is, for the message.</param>
    /// <exception cref="BackendException">One did.</exception>
    public void ThrowIfAny(string what)
    {
        if (_first is { } first)
        {
            throw new BackendException(
                first.Error, $"{what} failed an earlier flush and may have lost writes; open it again and check it. It was: {first.Message}", first, isTransient: false);
        }
    }

    /// <summary>Remembers a failure and returns it.</summary>
    public BackendException Remember(BackendException failure)
    {
        ArgumentNullException.ThrowIfNull(failure);
        Interlocked.CompareExchange(ref _first, failure, null);
        return failure;
    }
}
