namespace Farspan.Backends;

/// <summary>The power to lend stored bytes where they lie, so that a serving loop sends them without a copy.</summary>
public interface IMemoryLender
{
    /// <summary>
    /// Lends a prefix of the range: at least one byte and at most <paramref name="length"/> when true. False where the bytes are not at hand;
    /// the caller then reads them. Writes that run meanwhile show in the lent bytes. Lending allocates nothing.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>.</exception>
    bool TryLend(long offset, int length, out LentMemory lent);
}
