namespace Farspan.Cli.Migration;

/// <summary>What <c>farspan region</c> says.</summary>
/// <param name="Role"><c>owner</c>, <c>handed-over</c>, <c>released</c>, <c>following</c>, <c>receiving</c> or <c>gave-up</c>.</param>
/// <param name="MayWrite">Whether this host alone may write the region.</param>
/// <param name="Epoch">The number of the ownership.</param>
internal sealed record RegionReport(string Role, bool MayWrite, long Epoch)
{
    /// <summary>Which region; null where that is not known yet.</summary>
    public Guid? Region { get; init; }

    /// <summary>The move that made it so; null where none is under way.</summary>
    public Guid? Token { get; init; }

    /// <summary>The process that seeds or leeches it now; null where none does.</summary>
    public string? Holder { get; init; }

    /// <summary>The role in words.</summary>
    public string? Meaning { get; init; }
}
