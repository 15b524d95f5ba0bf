using Farspan.Backends;

namespace Farspan.Wire.Client;

/// <summary>Where what a reply tells beyond success is put.</summary>
internal sealed class WireAnswer
{
    public long Epoch { get; set; }

    public long Offset { get; set; }

    public List<Extent> Extents { get; } = [];

    public int ExtentLimit { get; init; }
}
