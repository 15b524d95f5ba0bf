namespace Farspan.Backends;

/// <summary>The power to take bytes straight to where they will be stored, so that a receiving loop writes without a copy.</summary>
public interface IInPlaceWriter
{
    /// <summary>
    /// Opens a prefix of the range for writing: at least one byte and at most <paramref name="length"/> when true. False where there is no
    /// place to give; the caller then writes. Until it is closed, and whatever was put there, it counts as a write that is running; from
    /// then on as one that has completed. Opening allocates nothing beyond the storage itself.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>.</exception>
    /// <exception cref="BackendException">The store failed; nothing was changed.</exception>
    bool TryOpen(long offset, int length, out OpenMemory open);
}
