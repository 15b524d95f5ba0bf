namespace Farspan.Backends;

/// <summary>The power to make a range read as zero without sending the zeroes.</summary>
public interface IZero
{
    /// <summary>Whether <see cref="ZeroMode.FastOnly"/> is ever honoured with success or a quick refusal.</summary>
    bool CanZeroFast { get; }

    /// <summary>Makes every byte of the range read as zero.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>; nothing was changed.</exception>
    /// <exception cref="BackendException">The store failed, or <see cref="ZeroMode.FastOnly"/> cannot be honoured
    /// (<see cref="BackendError.NotSupported"/>, nothing was changed).</exception>
    ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default);
}
