using Farspan.Backends;

namespace Farspan.Cli.Inspection;

/// <summary>An extent as it is printed.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Kind"><c>data</c>, <c>hole</c>, <c>zero</c> or <c>hole,zero</c>.</param>
internal sealed record ExtentLine(long Offset, long Length, string Kind)
{
    /// <summary>The line for an extent.</summary>
    public static ExtentLine Of(Extent extent) => new(extent.Offset, extent.Length, Name(extent.Kind));

    private static string Name(ExtentKind kind) => kind switch
    {
        ExtentKind.Data => "data",
        ExtentKind.Hole => "hole",
        ExtentKind.Zero => "zero",
        _ => "hole,zero",
    };
}
