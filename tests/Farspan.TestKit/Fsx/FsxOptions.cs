namespace Farspan.TestKit.Fsx;

/// <summary>What one run of <see cref="FsxRunner"/> does.</summary>
public sealed record FsxOptions
{
    /// <summary>The file to exercise; it exists, and its size does not change.</summary>
    public required string Path { get; init; }

    /// <summary>Decides every operation; the same seed on a file of the same size does the same.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Number of operations. Default 2,000.</summary>
    public int Operations { get; init; } = 2000;

    /// <summary>Longest single operation in bytes. Default 256 KiB.</summary>
    public int MaximumLength { get; init; } = 256 << 10;

    /// <summary>Whether mapped reads and writes take part. Default true.</summary>
    public bool Map { get; init; } = true;

    /// <summary>Whether a second descriptor with O_DIRECT takes part. Default true.</summary>
    public bool Direct { get; init; } = true;

    /// <summary>Whether holes are punched and ranges zeroed with fallocate. Default true.</summary>
    public bool Punch { get; init; } = true;
}
