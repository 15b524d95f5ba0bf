using Farspan.Backends;

namespace Farspan.Migration;

/// <summary>
/// What other systems ask of the host that has a region: no sessions, no rounds, no tokens, and every change in one answer. Thread-safe.
/// </summary>
internal interface IPlainSeeder
{
    /// <summary>Bytes of the region.</summary>
    ValueTask<long> SizeAsync(CancellationToken cancellationToken = default);

    /// <summary>Fills the buffer as far as the region goes.</summary>
    /// <returns>How many bytes those are; fewer than asked for only at the end.</returns>
    /// <exception cref="BackendException">It failed, or nothing is tracked.</exception>
    ValueTask<int> ReadAtAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default);

    /// <summary>Begins to record changes.</summary>
    /// <exception cref="BackendException">It failed, or another client is served (<see cref="BackendError.Leased"/>).</exception>
    ValueTask TrackAsync(CancellationToken cancellationToken = default);

    /// <summary>Suspends the program and hands the region over.</summary>
    /// <returns>The offsets of the chunks that changed since the tracking began; of every chunk where that is not known.</returns>
    /// <exception cref="BackendException">It failed, and the program goes on; or nothing is tracked.</exception>
    ValueTask<IReadOnlyList<long>> SyncAsync(CancellationToken cancellationToken = default);

    /// <summary>Ends it: after a Sync the client has everything, before one it does not want the region.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    ValueTask CloseAsync(CancellationToken cancellationToken = default);
}
