using Farspan.Transports;

namespace Farspan.Cli.Serving;

/// <summary>What <c>farspan serve</c> was asked for.</summary>
internal sealed record ServeSettings
{
    /// <summary>The URI of what is served.</summary>
    public required string Backend { get; init; }

    /// <summary>Where it is served, and how; at least one listener.</summary>
    public required ExportSettings Exports { get; init; }

    /// <summary>A line to put between the server and its clients, as <see cref="LinkOptions.Parse"/> reads it; null for none.</summary>
    public LinkOptions? Line { get; init; }

    /// <summary>Count and report bytes. Default: false.</summary>
    public bool Traffic { get; init; }

    /// <summary>Time for connecting to a remote backend and for each request. Default: 30 s. More than zero.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time that the last flush and the closing of the backend may take. Default: five minutes. More than zero.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromMinutes(5);
}
