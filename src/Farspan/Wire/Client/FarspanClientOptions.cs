using Farspan.Backends;
using Farspan.Transports;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>Where a <see cref="FarspanClientBackend"/> connects, and its limits.</summary>
public sealed record FarspanClientOptions
{
    /// <summary>Where the server is.</summary>
    public required StreamEndpoint Endpoint { get; init; }

    /// <summary>The export's name. Default: empty.</summary>
    public string ExportName { get; init; } = "";

    /// <summary>TLS. Default: null, none.</summary>
    public FarspanTlsOptions? Tls { get; init; }

    /// <summary>Refuse writes here. Default: false.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Time for connecting, TLS and the hello. Default: 30 s. More than zero.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time for each request while the server can be reached. Default: 30 s. More than zero.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time that requests wait for a server that is lost to come back. Default: 30 s. Not negative.</summary>
    public TimeSpan ReconnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The longest pause between two attempts to connect again. Default: 5 s.</summary>
    public TimeSpan MaximumReconnectDelay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Time that closing waits for requests that are running. Default: 10 s. Not negative.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Connections, as far as the server allows. Default: 2: short requests go over the first while it has places, long ones over all. From 1 to 16.
    /// </summary>
    public int Connections { get; init; } = 2;

    /// <summary>Requests in flight on each connection, as far as the server allows. Default: 64. From 1 to 1024.</summary>
    public int RequestsPerConnection { get; init; } = 64;

    /// <summary>
    /// Memory in bytes for copies of writes that are not flushed, to write again to a server that was started anew. It is taken with the first
    /// write; half full, it is flushed; full, writes wait. Default: 64 MiB. From 1 MiB to 1 GiB.
    /// </summary>
    public int UnflushedBudget { get; init; } = 64 << 20;

    /// <summary>The clock. Default: the system's.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Makes the byte stream instead of <see cref="Endpoint"/>; for tests.</summary>
    internal Func<Stream>? Connector { get; init; }

    internal string Name => $"{Endpoint}, export '{ExportName}'";

    /// <summary>The options in a URI of one of our schemes.</summary>
    /// <exception cref="FormatException">A part does not fit; the message says which and why.</exception>
    public static FarspanClientOptions Parse(BackendUri uri, BackendOpenOptions open)
    {
        ArgumentNullException.ThrowIfNull(uri);
        ArgumentNullException.ThrowIfNull(open);
        return FarspanUri.Parse(uri, open);
    }

    /// <summary>Throws unless every value is in its bounds.</summary>
    /// <exception cref="ArgumentException">One is not.</exception>
    public void Validate()
    {
        if (System.Text.Encoding.UTF8.GetByteCount(ExportName) > WireLimits.MaximumName)
            throw new ArgumentException($"The export's name is longer than {WireLimits.MaximumName} bytes.");
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(ConnectTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(RequestTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(ReconnectTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(MaximumReconnectDelay, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(CloseTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(Connections, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Connections, 16);
        ArgumentOutOfRangeException.ThrowIfLessThan(RequestsPerConnection, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(RequestsPerConnection, WireLimits.MaximumInFlight);
        ArgumentOutOfRangeException.ThrowIfLessThan(UnflushedBudget, 1 << 20);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(UnflushedBudget, 1 << 30);
    }
}
