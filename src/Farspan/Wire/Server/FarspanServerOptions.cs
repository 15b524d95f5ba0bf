using System.Net.Security;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <summary>Limits and settings of a <see cref="FarspanServer"/>.</summary>
public sealed record FarspanServerOptions
{
    /// <summary>TLS that every client must use. Default: null, none.</summary>
    public SslServerAuthenticationOptions? Tls { get; init; }

    /// <summary>Put around each connection's bytes below TLS, for counting or slowing them. Default: null.</summary>
    public Func<Stream, Stream>? WrapConnection { get; init; }

    /// <summary>Connections at once; further ones are closed. Default: 256. At least 1.</summary>
    public int MaximumConnections { get; init; } = 256;

    /// <summary>Connections of one client. Default: 8. At least 1.</summary>
    public int MaximumConnectionsPerSession { get; init; } = 8;

    /// <summary>Requests of one connection whose replies were not sent yet. Default: 256. From 1 to 1024.</summary>
    public int MaximumRequestsInFlight { get; init; } = 256;

    /// <summary>The longest payload in bytes, which a client can make the server hold. Default: 2 MiB. From 4 KiB to 32 MiB.</summary>
    public int MaximumPayload { get; init; } = 2 << 20;

    /// <summary>Bytes of payloads that one connection may make the server hold. Default: 64 MiB.</summary>
    public long MaximumBytesInFlight { get; init; } = 64 << 20;

    /// <summary>The same of all connections together, besides one payload of each. Default: 1 GiB.</summary>
    public long MaximumServerBytesInFlight { get; init; } = 1L << 30;

    /// <summary>Time for TLS and the hello. Default: 30 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time within which a peer must go on with a message it began, or take some of what is sent to it. Default: 60 s.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Time after which a client that asks for nothing, while nothing of its is running, is closed. Default: never.</summary>
    public TimeSpan IdleTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>Time that requests in flight get to end when the server stops. Default: 10 s.</summary>
    public TimeSpan ShutdownTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Time after which the lease of a silent holder can be taken by another. Default: 30 s.</summary>
    public TimeSpan LeaseTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time that writes from before a lease get to end before it is given. Default: 20 s.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Told of connections that end otherwise than by their client's wish, and of what backends should not throw. Default: null.</summary>
    public Action<string>? Log { get; init; }

    /// <summary>The clock. Default: the system's.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Throws unless every value is in its bounds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is not.</exception>
    public void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumConnections, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumConnectionsPerSession, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumRequestsInFlight, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumRequestsInFlight, WireLimits.MaximumInFlight);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumPayload, 4096);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumPayload, WireLimits.MaximumPayload);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumBytesInFlight, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumServerBytesInFlight, 1);
        foreach (var time in (ReadOnlySpan<TimeSpan>)[HandshakeTimeout, StallTimeout, LeaseTimeout, DrainTimeout])
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(time, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(LeaseTimeout, TimeSpan.FromDays(1));
        ArgumentOutOfRangeException.ThrowIfLessThan(ShutdownTimeout, TimeSpan.Zero);
        if (IdleTimeout != Timeout.InfiniteTimeSpan)
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(IdleTimeout, TimeSpan.Zero);
    }
}
