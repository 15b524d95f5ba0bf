using Farspan.Backends;
using Farspan.Transports;
using Farspan.Units;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>
/// <c>farspan://host:port/export</c>, <c>farspan+unix:///export?socket=PATH</c>, <c>farspans://</c> and <c>farspans+unix://</c> with TLS; with
/// <c>connections</c>, <c>requests</c>, <c>timeout</c>, <c>reconnect</c>, <c>unflushed</c>, and for TLS <c>tls-certificates</c>,
/// <c>tls-hostname</c>, <c>tls-verify-peer</c>.
/// </summary>
internal static class FarspanUri
{
    private static readonly string[] TlsKeys = ["tls-certificates", "tls-hostname", "tls-verify-peer"];

    public static IReadOnlyList<string> Schemes { get; } = ["farspan", "farspan+unix", "farspans", "farspans+unix"];

    public static FarspanClientOptions Parse(BackendUri uri, BackendOpenOptions open)
    {
        if (!Schemes.Contains(uri.Scheme, StringComparer.Ordinal))
            throw new FormatException($"{uri} is no address of Farspan's own wire; give farspan://HOST:PORT/EXPORT or farspan+unix:///EXPORT?socket=PATH, or the same with farspans for TLS.");
        uri.AllowOnly([.. TlsKeys, "socket", "connections", "requests", "timeout", "reconnect", "unflushed"]);
        var timeout = Duration(uri, "timeout") ?? open.Timeout;
        var options = new FarspanClientOptions
        {
            Endpoint = Endpoint(uri),
            ExportName = Uri.UnescapeDataString(uri.Path.StartsWith('/') ? uri.Path[1..] : uri.Path),
            Tls = Tls(uri),
            ReadOnly = open.ReadOnly,
            Clock = open.Clock,
            ConnectTimeout = timeout,
            RequestTimeout = timeout,
        };
        options = options with
        {
            ReconnectTimeout = Duration(uri, "reconnect") ?? options.ReconnectTimeout,
            Connections = Number(uri, "connections", 16) ?? options.Connections,
            RequestsPerConnection = Number(uri, "requests", WireLimits.MaximumInFlight) ?? options.RequestsPerConnection,
            UnflushedBudget = (int)Math.Min(int.MaxValue, uri.GetSize("unflushed") ?? options.UnflushedBudget),
        };
        try
        {
            options.Validate();
        }
        catch (ArgumentException error)
        {
            throw new FormatException($"{uri}: {error.Message}", error);
        }

        return options;
    }

    private static StreamEndpoint Endpoint(BackendUri uri)
    {
        if (uri.Scheme.EndsWith("+unix", StringComparison.Ordinal))
        {
            if (!string.IsNullOrEmpty(uri.Authority))
                throw new FormatException($"'{uri.Authority}' in {uri}: a Unix socket has no host; write {uri.Scheme}:///export?socket=PATH.");
            return StreamEndpoint.Unix(uri.Get("socket") ?? throw new FormatException($"{uri} names no socket; write {uri.Scheme}:///export?socket=PATH."));
        }

        if (uri.Get("socket") is not null)
            throw new FormatException($"'socket' in {uri}: that is for {uri.Scheme}+unix:// only.");
        if (string.IsNullOrEmpty(uri.Authority))
            throw new FormatException($"{uri} names no host; write {uri.Scheme}://host:{WireLimits.DefaultPort}/export.");
        return StreamEndpoint.Parse(Uri.UnescapeDataString(uri.Authority), WireLimits.DefaultPort);
    }

    private static FarspanTlsOptions? Tls(BackendUri uri)
    {
        if (uri.Scheme.StartsWith("farspans", StringComparison.Ordinal))
        {
            return new FarspanTlsOptions
            {
                CertificateDirectory = uri.Get("tls-certificates"),
                HostName = uri.Get("tls-hostname"),
                VerifyPeer = uri.GetSwitch("tls-verify-peer", absent: true),
            };
        }

        if (Array.Find(TlsKeys, key => uri.Get(key) is not null) is { } wrong)
            throw new FormatException($"'{wrong}' in {uri}: for TLS, write {uri.Scheme.Replace("farspan", "farspans", StringComparison.Ordinal)}://.");
        return null;
    }

    private static TimeSpan? Duration(BackendUri uri, string key) => uri.Get(key) is { } text ? DurationText.Parse(text) : null;

    private static int? Number(BackendUri uri, string key, int maximum)
    {
        if (uri.Get(key) is not { } text)
            return null;
        return int.TryParse(text, out int number) && number >= 1 && number <= maximum
            ? number
            : throw new FormatException($"'{key}={text}' in {uri}: give a number from 1 to {maximum}.");
    }
}
