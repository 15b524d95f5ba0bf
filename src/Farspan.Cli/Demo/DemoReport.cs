namespace Farspan.Cli.Demo;

/// <summary>What <c>farspan demo --json</c> prints.</summary>
internal sealed record DemoReport
{
    /// <summary>What the data were.</summary>
    public required string Data { get; init; }

    /// <summary><c>fuse</c>: through a mounted file; <c>nbd</c>: through the NBD client, where FUSE cannot be used.</summary>
    public required string Attachment { get; init; }

    /// <summary>Why FUSE was not used; null where it was.</summary>
    public string? NoFuse { get; init; }

    /// <summary>The simulated line.</summary>
    public required string Line { get; init; }

    /// <summary>Bytes of the file.</summary>
    public required long FileBytes { get; init; }

    /// <summary>Bytes that the whole job moved over the line, both ways, without the download.</summary>
    public required long JobBytes { get; init; }

    /// <summary>From starting to mount (or to connect) to the first answer.</summary>
    public required double FirstAnswerSeconds { get; init; }

    /// <summary>How long the same file takes to download over the same line.</summary>
    public required double DownloadSeconds { get; init; }

    /// <summary>How long the whole job took, without making the data and without the download.</summary>
    public required double JobSeconds { get; init; }

    /// <summary>Whether every answer was right, the change arrived, and the data were whole at the end.</summary>
    public required bool Verified { get; init; }

    /// <summary>The steps.</summary>
    public required IReadOnlyList<DemoStep> Steps { get; init; }

    /// <summary>Where the files are, with <c>--keep</c>.</summary>
    public string? Kept { get; init; }
}
