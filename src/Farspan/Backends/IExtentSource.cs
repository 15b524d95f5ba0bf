namespace Farspan.Backends;

/// <summary>The power to say which parts are allocated and which read as zero.</summary>
public interface IExtentSource
{
    /// <summary>
    /// Adds to <paramref name="extents"/> the extents from <paramref name="offset"/> on: contiguous, the first starting at
    /// <paramref name="offset"/>, none ending after <c>offset + length</c>, neighbours of equal kind joined, at most
    /// <paramref name="limit"/> of them. At least one is added when <paramref name="length"/> is not 0; the caller asks again from the end
    /// of the last one for the rest.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>, or <paramref name="limit"/> is less than 1.</exception>
    /// <exception cref="BackendException">The store failed.</exception>
    ValueTask ListExtentsAsync(long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default);
}
