using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Transports;
using Farspan.Units;

namespace Farspan.Nbd.Client;

/// <summary>
/// Reads <c>nbd://host:port/export</c>, <c>nbd+unix:///export?socket=PATH</c>, and <c>nbds://</c> and <c>nbds+unix://</c> for TLS, as the NBD
/// URI specification has them, with the parameters <c>tls-certificates</c>, <c>tls-hostname</c>, <c>tls-verify-peer</c>, and our own
/// <c>connections</c>, <c>requests</c>, <c>timeout</c>, <c>reconnect</c>, <c>unflushed</c>.
/// </summary>
internal static class NbdUri
{
    public static IReadOnlyList<string> Schemes { get; } = ["nbd", "nbd+unix", "nbds", "nbds+unix"];

    /// <exception cref="FormatException">A part does not fit; the message says which and why.</exception>
    public static NbdClientOptions Parse(BackendUri uri, BackendOpenOptions open)
    {
        bool isUnix = uri.Scheme.EndsWith("+unix", StringComparison.Ordinal);
        bool isTls = uri.Scheme.StartsWith("nbds", StringComparison.Ordinal);
        if (uri.Get("tls-psk-file") is not null)
            throw new FormatException($"'tls-psk-file' in {uri.Text}: pre-shared keys are not supported; use certificates with tls-certificates=DIR.");
        uri.AllowOnly(
            "socket", "tls-certificates", "tls-hostname", "tls-verify-peer", "connections", "requests", "timeout", "reconnect", "unflushed");
        var options = new NbdClientOptions
        {
            Endpoint = isUnix ? UnixEndpoint(uri) : TcpEndpoint(uri),
            ExportName = ExportName(uri),
            Tls = isTls ? Tls(uri) : NoTls(uri),
            ReadOnly = open.ReadOnly,
            Clock = open.Clock,
        };
        var timeout = Duration(uri, "timeout") ?? open.Timeout;
        options = options with
        {
            ConnectTimeout = timeout,
            RequestTimeout = timeout,
            ReconnectTimeout = Duration(uri, "reconnect") ?? options.ReconnectTimeout,
            MaximumConnections = Number(uri, "connections", 1, 16) ?? options.MaximumConnections,
            RequestsPerConnection = Number(uri, "requests", 1, 1024) ?? options.RequestsPerConnection,
            UnflushedBudget = uri.GetSize("unflushed") ?? options.UnflushedBudget,
        };
        try
        {
            options.Validate();
        }
        catch (ArgumentException error)
        {
            throw new FormatException($"{uri.Text}: {error.Message}", error);
        }

        return options;
    }

    private static StreamEndpoint UnixEndpoint(BackendUri uri)
    {
        if (!string.IsNullOrEmpty(uri.Authority))
            throw new FormatException($"'{uri.Authority}' in {uri.Text}: a Unix socket has no host; write {uri.Scheme}:///export?socket=PATH.");
        string socket = uri.Get("socket") ?? throw new FormatException($"{uri.Text} names no socket; write {uri.Scheme}:///export?socket=PATH.");
        return StreamEndpoint.Unix(socket);
    }

    private static StreamEndpoint TcpEndpoint(BackendUri uri)
    {
        if (uri.Get("socket") is not null)
            throw new FormatException($"'socket' in {uri.Text}: that is for {uri.Scheme}+unix:// only.");
        if (string.IsNullOrEmpty(uri.Authority))
            throw new FormatException($"{uri.Text} names no host; write {uri.Scheme}://host:{NbdConstants.DefaultPort}/export.");
        if (uri.Authority.Contains('@', StringComparison.Ordinal))
            throw new FormatException($"'{uri.Authority}' in {uri.Text}: user names go with pre-shared keys, which are not supported.");
        return StreamEndpoint.Parse(Uri.UnescapeDataString(uri.Authority), NbdConstants.DefaultPort);
    }

    private static string ExportName(BackendUri uri)
        => Uri.UnescapeDataString(uri.Path.StartsWith('/') ? uri.Path[1..] : uri.Path);

    private static NbdTlsOptions Tls(BackendUri uri) => new()
    {
        CertificateDirectory = uri.Get("tls-certificates"),
        HostName = uri.Get("tls-hostname"),
        VerifyPeer = uri.Get("tls-verify-peer") is null || uri.GetSwitch("tls-verify-peer"),
    };

    private static NbdTlsOptions? NoTls(BackendUri uri)
    {
        foreach (string key in (ReadOnlySpan<string>)["tls-certificates", "tls-hostname", "tls-verify-peer"])
        {
            if (uri.Get(key) is not null)
                throw new FormatException($"'{key}' in {uri.Text}: for TLS, write {uri.Scheme.Replace("nbd", "nbds", StringComparison.Ordinal)}://.");
        }

        return null;
    }

    private static TimeSpan? Duration(BackendUri uri, string key) => uri.Get(key) is { } text ? DurationText.Parse(text) : null;

    private static int? Number(BackendUri uri, string key, int minimum, int maximum)
    {
        if (uri.Get(key) is not { } text)
            return null;
        return int.TryParse(text, out int number) && number >= minimum && number <= maximum
            ? number
            : throw new FormatException($"'{key}={text}' in {uri.Text}: give a number from {minimum} to {maximum}.");
    }
}
