using Farspan.Backends;

namespace Farspan.TestKit.Contracts;

public abstract partial class BackendContract
{
    private long AlignedLength => Length / Alignment * Alignment;

    /// <summary>Ranges that start or end outside, with lengths of at most two <see cref="Alignment"/>s.</summary>
    protected IEnumerable<(long Offset, long Length)> RangesOutside(long backendLength)
    {
        yield return (-Alignment, Alignment);
        yield return (-Alignment, 2 * Alignment);
        yield return (long.MinValue, Alignment);
        yield return (backendLength, Alignment);
        yield return (backendLength - Alignment, 2 * Alignment);
        yield return (backendLength + Alignment, Alignment);
        yield return (long.MaxValue - Alignment + 1, Alignment);
        yield return (long.MaxValue - (2 * Alignment) + 1, 2 * Alignment);
    }

    private static byte[] Filled(long length)
    {
        var buffer = new byte[length];
        Array.Fill(buffer, (byte)0xCC);
        return buffer;
    }

    private async ValueTask<IBackend> CreateAlignedAsync() => await CreateAsync(AlignedLength);

    private (long Offset, int Length) Align(long offset, int length, long backendLength)
    {
        offset = Math.Max(0, offset / Alignment * Alignment);
        length = Math.Max(Alignment, length / Alignment * Alignment);
        return (offset, (int)Math.Min(length, backendLength - offset));
    }
}
