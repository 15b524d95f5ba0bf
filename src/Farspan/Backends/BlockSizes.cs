namespace Farspan.Backends;

/// <summary>The request sizes that a backend accepts and likes, in bytes.</summary>
/// <param name="Minimum">Offsets and lengths must be multiples of this; a power of two from 1 to 64 KiB.</param>
/// <param name="Preferred">Requests of multiples of this are served best; a power of two, at least <paramref name="Minimum"/> and 512.</param>
/// <param name="Maximum">The largest length of one read or write; a multiple of <paramref name="Minimum"/>.</param>
public readonly record struct BlockSizes(int Minimum, int Preferred, int Maximum)
{
    /// <summary>Any offset and length; 4 KiB preferred; up to 32 MiB at a time.</summary>
    public static BlockSizes Default { get; } = new(1, 4096, 32 << 20);
}
