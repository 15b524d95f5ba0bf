namespace Farspan.Nbd.Server;

/// <summary>Limits and settings of an <see cref="NbdServer"/>. Every limit holds against hostile clients too.</summary>
public sealed record NbdServerOptions
{
    /// <summary>TLS, or null for a server that offers none. Default: null.</summary>
    public NbdServerTls? Tls { get; init; }

    /// <summary>Wraps each accepted connection, for example to simulate a slow line; the result owns what it wraps. Default: null.</summary>
    public Func<Stream, Stream>? WrapConnection { get; init; }

    /// <summary>Connections at one time, 1 to 65535; further ones are closed at once. Each has a thread. Default: 256.</summary>
    public int MaximumConnections { get; init; } = 256;

    /// <summary>Time from connecting to the end of the negotiation, TLS included; more than zero. Default: 30 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Options that one connection may send, 1 or more; the next one closes it. Default: 1024.</summary>
    public int MaximumOptions { get; init; } = 1024;

    /// <summary>
    /// Bytes of data of one option, 8 KiB to 1 MiB. The data of a larger one are skipped, up to 1 MiB, and it is refused; more closes the
    /// connection. Default: 64 KiB.
    /// </summary>
    public int MaximumOptionBytes { get; init; } = 64 << 10;

    /// <summary>
    /// Bytes of one read or write, 1 MiB to 512 MiB; advertised to the client. A longer write is skipped and refused up to four times this,
    /// and closes the connection beyond. Default: 64 MiB.
    /// </summary>
    public int MaximumRequestBytes { get; init; } = 64 << 20;

    /// <summary>Requests of one connection that run or wait to be answered, 1 to 65535; the next one is not received before one ends. Default: 256.</summary>
    public int MaximumRequestsInFlight { get; init; } = 256;

    /// <summary>
    /// Bytes of buffers that the requests in flight of one connection may hold, 4 MiB or more; the next request waits. A single request may
    /// always have what it needs. Default: 128 MiB.
    /// </summary>
    public long MaximumBytesInFlight { get; init; } = 128L << 20;

    /// <summary>The same over all connections. A connection that holds nothing may always have one request. Default: 1 GiB.</summary>
    public long MaximumServerBytesInFlight { get; init; } = 1L << 30;

    /// <summary>
    /// Time in which a client must take at least some of what is sent to it, and send at least some of a message that it has begun; then it is
    /// disconnected. More than zero. Default: 60 s.
    /// </summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Time without any request after which a client is disconnected; more than zero. Default: none (infinite).</summary>
    public TimeSpan IdleTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>Time that stopping grants to the requests in flight; zero or more. Default: 10 s.</summary>
    public TimeSpan ShutdownTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>What all those times are measured by. Default: the system's clock.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Starts a thread; for tests of a system that has none left.</summary>
    internal Action<Thread> StartThread { get; init; } = static thread => thread.Start();

    internal const int LargestSkippedOption = 1 << 20;

    internal void Validate()
    {
        InRange(MaximumConnections, 1, 65535, nameof(MaximumConnections));
        InRange(MaximumOptions, 1, int.MaxValue, nameof(MaximumOptions));
        InRange(MaximumOptionBytes, 8 << 10, LargestSkippedOption, nameof(MaximumOptionBytes));
        InRange(MaximumRequestBytes, 1 << 20, 512 << 20, nameof(MaximumRequestBytes));
        InRange(MaximumRequestsInFlight, 1, 65535, nameof(MaximumRequestsInFlight));
        InRange(MaximumBytesInFlight, 4 << 20, long.MaxValue / 2, nameof(MaximumBytesInFlight));
        InRange(MaximumServerBytesInFlight, 4 << 20, long.MaxValue / 2, nameof(MaximumServerBytesInFlight));
        Positive(HandshakeTimeout, nameof(HandshakeTimeout));
        Positive(StallTimeout, nameof(StallTimeout));
        if (IdleTimeout != Timeout.InfiniteTimeSpan)
            Positive(IdleTimeout, nameof(IdleTimeout));
        ArgumentOutOfRangeException.ThrowIfLessThan(ShutdownTimeout, TimeSpan.Zero, nameof(ShutdownTimeout));
        ArgumentNullException.ThrowIfNull(Clock, nameof(Clock));
    }

    private static void InRange(long value, long minimum, long maximum, string name)
    {
        if (value < minimum || value > maximum)
            throw new ArgumentOutOfRangeException(name, value, $"{name} must be {minimum} to {maximum}.");
    }

    private static void Positive(TimeSpan value, string name)
    {
        if (value <= TimeSpan.Zero)
            throw new ArgumentOutOfRangeException(name, value, $"{name} must be more than zero.");
    }
}
