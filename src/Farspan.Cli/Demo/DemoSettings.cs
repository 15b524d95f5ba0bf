namespace Farspan.Cli.Demo;

/// <summary>How the demo runs.</summary>
internal sealed record DemoSettings
{
    /// <summary>Bytes of the file, about. Default: 256 MiB. At least 64 MiB, at most 448 MiB.</summary>
    public long FileLength { get; init; } = 256L << 20;

    /// <summary>The line between server and clients. Default: 25 ms there and back, 1 Gbit/s.</summary>
    public string Line { get; init; } = "rtt=25ms,rate=1Gbit";

    /// <summary>Leave the files behind. Default: false.</summary>
    public bool Keep { get; init; }

    /// <summary>Do without FUSE even where it can be used. Default: false.</summary>
    public bool AvoidFuse { get; init; }

    /// <summary>Do without SQLite even where it is here. Default: false.</summary>
    public bool AvoidSqlite { get; init; }
}
