using Farspan.Backends;
using Farspan.Transports;

namespace Farspan.Cli.Serving;

/// <summary>A listener as users write it: <c>nbd://127.0.0.1:10809</c>, <c>nbd+unix:///?socket=PATH</c>, <c>nbds://…</c>.</summary>
internal sealed record ListenUri
{
    private const int DefaultPort = 10809;

    private ListenUri(string text, StreamEndpoint endpoint, bool needsTls)
    {
        Text = text;
        Endpoint = endpoint;
        NeedsTls = needsTls;
    }

    /// <summary>The text as given.</summary>
    public string Text { get; }

    /// <summary>Where to listen.</summary>
    public StreamEndpoint Endpoint { get; }

    /// <summary>Whether the scheme asks for TLS.</summary>
    public bool NeedsTls { get; }

    /// <summary>Parses the text.</summary>
    /// <exception cref="FormatException">It is no listener.</exception>
    public static ListenUri Parse(string text)
    {
        var uri = BackendUri.Parse(text);
        if (uri.Scheme is not ("nbd" or "nbds" or "nbd+unix" or "nbds+unix"))
            throw new FormatException($"{text} is no listener; give nbd://ADDRESS:PORT or nbd+unix:///?socket=PATH");
        if (uri.Path is not ("" or "/"))
            throw new FormatException($"{text} names an export; name it with --name {uri.Path.TrimStart('/')}");
        bool needsTls = uri.Scheme.StartsWith("nbds", StringComparison.Ordinal);
        if (uri.Scheme.EndsWith("+unix", StringComparison.Ordinal))
        {
            uri.AllowOnly("socket");
            string socket = uri.Get("socket") ?? throw new FormatException($"{text} names no socket; write {uri.Scheme}:///?socket=PATH");
            return new ListenUri(text, StreamEndpoint.Unix(Path.GetFullPath(socket)), needsTls);
        }

        uri.AllowOnly();
        return new ListenUri(text, StreamEndpoint.Parse(uri.Authority ?? "", DefaultPort), needsTls);
    }

    /// <summary>The URI that a client uses for an export of a listener.</summary>
    public static string ForClient(StreamEndpoint bound, string export, bool tls)
    {
        string scheme = tls ? "nbds" : "nbd";
        string name = Uri.EscapeDataString(export).Replace("%2F", "/", StringComparison.Ordinal);
        if (bound.Path is not null)
            return $"{scheme}+unix:///{name}?socket={Uri.EscapeDataString(bound.Path).Replace("%2F", "/", StringComparison.Ordinal)}";
        bool isAny = bound.Host is "0.0.0.0" or "::";
        return $"{scheme}://{(isAny ? $"{Environment.MachineName}:{bound.Port}" : bound.ToString())}/{name}";
    }
}
