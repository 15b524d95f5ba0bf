using Farspan.Nbd.Client;

namespace Farspan.Cli.Inspection;

/// <summary>What <c>farspan info --json</c> prints.</summary>
/// <param name="Uri">The URI that was asked about.</param>
internal sealed record BackendReport(string Uri)
{
    /// <summary>What an NBD server tells of itself and all its exports; null for other backends.</summary>
    public NbdServerDetails? Server { get; init; }

    /// <summary>Bytes; null where the server has no export of that name and lists others.</summary>
    public long? Length { get; init; }

    /// <summary>Whether it can only be read.</summary>
    public bool? ReadOnly { get; init; }

    /// <summary>Offsets and lengths must be multiples of this many bytes.</summary>
    public int? MinimumBlockSize { get; init; }

    /// <summary>Bytes that it likes best in one request.</summary>
    public int? PreferredBlockSize { get; init; }

    /// <summary>The most bytes of one request.</summary>
    public int? MaximumBlockSize { get; init; }

    /// <summary>Its optional powers: <c>trim</c>, <c>zero</c>, <c>fast-zero</c>, <c>extents</c>, <c>concurrent-writers</c>, <c>leasing</c>.</summary>
    public IReadOnlyList<string> Capabilities { get; init; } = [];

    /// <summary>With <c>--map</c>: bytes that may hold data.</summary>
    public long? DataBytes { get; init; }

    /// <summary>With <c>--map</c>: bytes that read as zero.</summary>
    public long? ZeroBytes { get; init; }

    /// <summary>With <c>--map</c>: bytes without storage behind them.</summary>
    public long? HoleBytes { get; init; }

    /// <summary>With <c>--map</c>: every extent.</summary>
    public IReadOnlyList<ExtentLine>? Map { get; init; }
}
