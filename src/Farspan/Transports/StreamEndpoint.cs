using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Farspan.Transports;

/// <summary>Where a duplex byte stream starts or ends: a TCP host and port, or the path of a Unix socket. Immutable.</summary>
public sealed class StreamEndpoint : IEquatable<StreamEndpoint>
{
    /// <summary>The longest path of a Unix socket that Linux takes, in bytes of UTF-8.</summary>
    public const int MaximumPathBytes = 107;

    private StreamEndpoint(string? path, string? host, int port)
    {
        Path = path;
        Host = host;
        Port = port;
    }

    /// <summary>The path of the Unix socket; null for TCP.</summary>
    public string? Path { get; }

    /// <summary>The host name or address, an IPv6 address without brackets; null for a Unix socket.</summary>
    public string? Host { get; }

    /// <summary>The TCP port, 0 to 65535 (0 lets a listener choose); 0 for a Unix socket.</summary>
    public int Port { get; }

    /// <summary>Whether only this machine can reach it: a Unix socket, <c>localhost</c>, or a loopback address.</summary>
    public bool IsLocal
        => Path is not null
            || string.Equals(Host, "localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(Host, out var address) && IPAddress.IsLoopback(address));

    /// <summary>The endpoint of a Unix socket.</summary>
    /// <exception cref="FormatException">The path is empty, holds a NUL or is longer than <see cref="MaximumPathBytes"/>.</exception>
    public static StreamEndpoint Unix(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (path.Length == 0 || path.Contains('\0', StringComparison.Ordinal))
            throw new FormatException("The path of the Unix socket is empty or holds a NUL.");
        if (Encoding.UTF8.GetByteCount(path) > MaximumPathBytes)
            throw new FormatException($"The path of the Unix socket is longer than {MaximumPathBytes} bytes: {path}. Choose a shorter one.");
        return new StreamEndpoint(path, host: null, port: 0);
    }

    /// <summary>The endpoint of a TCP host name or address and a port.</summary>
    /// <exception cref="FormatException">The host is empty or holds what no host name may.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The port is not in 0 to 65535.</exception>
    public static StreamEndpoint Tcp(string host, int port)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentOutOfRangeException.ThrowIfNegative(port);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, IPEndPoint.MaxPort);
        if (host.StartsWith('[') && host.EndsWith(']'))
            host = host[1..^1];
        if (Uri.CheckHostName(host) == UriHostNameType.Unknown)
            throw new FormatException($"'{host}' is no host name or address.");
        return new StreamEndpoint(path: null, host, port);
    }

    /// <summary>
    /// Parses <c>host</c>, <c>host:port</c>, <c>[v6address]:port</c> (as in the authority of a URI; empty means <c>localhost</c>), or a
    /// Unix socket as <c>unix:PATH</c> or a path that starts with <c>/</c> or <c>.</c>.
    /// </summary>
    /// <exception cref="FormatException">The text is no endpoint; the message says why.</exception>
    public static StreamEndpoint Parse(string text, int defaultPort)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.StartsWith("unix:", StringComparison.Ordinal))
            return Unix(text[5..]);
        if (text.StartsWith('/') || text.StartsWith('.'))
            return Unix(text);
        string host = text;
        string? portText = null;
        if (text.StartsWith('['))
        {
            int close = text.IndexOf(']', StringComparison.Ordinal);
            if (close < 0)
                throw new FormatException($"'{text}' has a '[' without its ']'.");
            host = text[1..close];
            string rest = text[(close + 1)..];
            if (rest.Length > 0 && rest[0] != ':')
                throw new FormatException($"'{text}' has more than a port after the ']'.");
            portText = rest.Length > 0 ? rest[1..] : null;
            if (!IPAddress.TryParse(host, out var address) || address.AddressFamily != AddressFamily.InterNetworkV6)
                throw new FormatException($"'{host}' in '{text}' is no IPv6 address.");
        }
        else if (text.LastIndexOf(':') is >= 0 and var colon)
        {
            if (text.IndexOf(':', StringComparison.Ordinal) != colon)
                throw new FormatException($"'{text}' has several colons; write an IPv6 address in brackets, as in [::1]:{defaultPort}.");
            host = text[..colon];
            portText = text[(colon + 1)..];
        }

        return Tcp(host.Length == 0 ? "localhost" : host, ParsePort(text, portText, defaultPort));
    }

    /// <summary>The text that <see cref="Parse"/> reads back.</summary>
    public override string ToString()
    {
        if (Path is not null)
            return $"unix:{Path}";
        return Host!.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
    }

    /// <inheritdoc/>
    public bool Equals(StreamEndpoint? other)
        => other is not null && string.Equals(Path, other.Path, StringComparison.Ordinal)
            && string.Equals(Host, other.Host, StringComparison.OrdinalIgnoreCase) && Port == other.Port;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as StreamEndpoint);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Path, Host?.ToUpperInvariant(), Port);

    /// <summary>The BCL's form of it; a name is not resolved yet.</summary>
    internal EndPoint ToEndPoint()
    {
        if (Path is not null)
            return new UnixDomainSocketEndPoint(Path);
        return IPAddress.TryParse(Host, out var address) ? new IPEndPoint(address, Port) : new DnsEndPoint(Host!, Port);
    }

    private static int ParsePort(string text, string? portText, int defaultPort)
    {
        if (portText is null)
            return defaultPort;
        if (!ushort.TryParse(portText, NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
            throw new FormatException($"'{portText}' in '{text}' is no port; give one from 0 to 65535.");
        return port;
    }
}
