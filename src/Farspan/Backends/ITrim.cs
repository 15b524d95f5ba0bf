namespace Farspan.Backends;

/// <summary>The power to give up storage: the caller no longer cares what a range holds.</summary>
public interface ITrim
{
    /// <summary>Gives up the range. What it reads afterwards is the old bytes or zeroes, byte by byte, until it is written again.</summary>
    /// <remarks>A backend may do nothing for parts that do not cover a whole unit of its storage.</remarks>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>.</exception>
    /// <exception cref="BackendException">The store failed.</exception>
    ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default);
}
