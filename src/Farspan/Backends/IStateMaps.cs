namespace Farspan.Backends;

/// <summary>
/// The power to tell states of the bytes beside allocation, each by a map with a name: which bytes a mount has here, which were not pushed yet.
/// </summary>
public interface IStateMaps
{
    /// <summary>
    /// The names, the same ones in the same order for the life of the backend: at most 32, each of 1 to 64 lower-case letters, digits and hyphens.
    /// </summary>
    IReadOnlyList<string> MapNames { get; }

    /// <summary>
    /// Adds to <paramref name="runs"/> the runs of one map from <paramref name="offset"/> on: contiguous, the first starting at
    /// <paramref name="offset"/>, none ending after <c>offset + length</c>, neighbours of equal flags joined, at most
    /// <paramref name="limit"/> of them. At least one is added when <paramref name="length"/> is not 0; the caller asks again from the end of
    /// the last one for the rest. What it tells may be over before the caller sees it.
    /// </summary>
    /// <exception cref="ArgumentException">There is no such map.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>, or <paramref name="limit"/> is less than 1.</exception>
    /// <exception cref="BackendException">The store failed.</exception>
    ValueTask ListStatesAsync(
        string mapName, long offset, long length, int limit, ICollection<StateRun> runs, CancellationToken cancellationToken = default);
}
