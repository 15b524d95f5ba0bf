using Farspan.Backends;
using Farspan.Transports;

namespace Farspan.Nbd.Client;

/// <summary>Where an NBD export is and how it is used. Immutable; checked when a client is opened with it.</summary>
public sealed record NbdClientOptions
{
    /// <summary>The server.</summary>
    public required StreamEndpoint Endpoint { get; init; }

    /// <summary>The export; up to 4096 bytes of UTF-8. Default: empty, the server's default export.</summary>
    public string ExportName { get; init; } = "";

    /// <summary>Encryption; a server that does not offer it is refused then. Default: null, none.</summary>
    public NbdTlsOptions? Tls { get; init; }

    /// <summary>Refuse writes on this side too. Default: false.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Time for connecting and negotiating, each time. Default: 30 s. More than zero.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time from a call to its answer while the connection stands. Default: 30 s. More than zero.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long calls wait for a lost connection to come back before they fail with <see cref="BackendError.Disconnected"/>. Zero fails them
    /// at once. Connecting is tried on after that, so that later calls succeed when the server is back. Default: 30 s.
    /// </summary>
    public TimeSpan ReconnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The longest pause between two attempts to connect again; the first comes at once, the next after 20 ms, then growing. Default: 5 s. More than zero.</summary>
    public TimeSpan MaximumReconnectDelay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long closing waits for calls that are under way. Default: 10 s. Zero or more.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Connections to use at most, from 1 to 16. More than one are used only where the server says that a flush on one covers all
    /// (CAN_MULTI_CONN); the others are opened when the load asks for them. Default: 4.
    /// </summary>
    public int MaximumConnections { get; init; } = 4;

    /// <summary>Requests on the way in one connection at most, from 1 to 1024; further calls wait for a place. Default: 64.</summary>
    public int RequestsPerConnection { get; init; } = 64;

    /// <summary>
    /// The most bytes that one request reads or writes, from 4 KiB to 32 MiB; a longer call becomes several requests that run together, and
    /// a server's lower limit is kept. Default: 2 MiB.
    /// </summary>
    public int MaximumRequestLength { get; init; } = 2 << 20;

    /// <summary>
    /// Bytes of acknowledged writes that are kept until a flush made them durable, to be written again to a server that comes back without
    /// them. When half is used up the client flushes by itself; when all is, writes wait for that flush. At least 4 MiB and four times
    /// <see cref="MaximumRequestLength"/>, or 0 to keep nothing: then every flush fails once a connection was lost with writes that had not been flushed.
    /// Default: 64 MiB.
    /// </summary>
    public long UnflushedBudget { get; init; } = 64 << 20;

    /// <summary>
    /// Ask the server for its maps of states (contexts <c>x-farspan:NAME</c>) beside allocation; then <see cref="IStateMaps"/> tells them. Costs a
    /// round trip for each connection, and makes every answer about extents longer. Default: false.
    /// </summary>
    public bool StateMaps { get; init; }

    /// <summary>The clock. Default: the system's.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>What a URI asks for: <c>nbd://host:port/export</c>, <c>nbd+unix:///export?socket=PATH</c>, and <c>nbds</c> in their place for TLS.</summary>
    /// <param name="uri">The URI; its parameters win over <paramref name="open"/>.</param>
    /// <param name="open">Read-only, time-out and clock; null for the defaults.</param>
    /// <exception cref="FormatException">A part does not fit; the message says which and why.</exception>
    public static NbdClientOptions Parse(BackendUri uri, BackendOpenOptions? open = null)
    {
        ArgumentNullException.ThrowIfNull(uri);
        return NbdUri.Parse(uri, open ?? new BackendOpenOptions());
    }

    /// <summary>Opens the byte stream in place of a socket, for tests.</summary>
    internal Func<NbdTransport>? Connector { get; init; }

    /// <summary>The export and the server as people name them.</summary>
    internal string Name => ExportName.Length == 0 ? $"NBD server {Endpoint}" : $"export '{ExportName}' of NBD server {Endpoint}";

    /// <exception cref="ArgumentException">An option is out of its bounds; the message names it.</exception>
    internal void Validate()
    {
        ArgumentNullException.ThrowIfNull(Endpoint);
        ArgumentNullException.ThrowIfNull(ExportName);
        if (System.Text.Encoding.UTF8.GetByteCount(ExportName) > Protocol.NbdConstants.MaximumStringLength)
            throw new ArgumentException("An export name is longer than 4096 bytes.", nameof(ExportName));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(ConnectTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(RequestTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(ReconnectTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(MaximumReconnectDelay, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(CloseTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumConnections, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumConnections, 16);
        ArgumentOutOfRangeException.ThrowIfLessThan(RequestsPerConnection, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(RequestsPerConnection, 1024);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumRequestLength, 4 << 10);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumRequestLength, 32 << 20);
        ArgumentOutOfRangeException.ThrowIfNegative(UnflushedBudget);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(UnflushedBudget, 1L << 30);
        if (UnflushedBudget != 0 && UnflushedBudget < Math.Max(4 << 20, 4L * MaximumRequestLength))
        {
            throw new ArgumentOutOfRangeException(
                nameof(UnflushedBudget), UnflushedBudget, "Keep at least 4 MiB and four times the longest request, or 0 for nothing.");
        }
    }
}
