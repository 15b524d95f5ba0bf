using Farspan.Backends;
using Farspan.Transports;

namespace Farspan.Cli.Serving;

/// <summary>
/// A listener as users write it: <c>nbd://127.0.0.1:10809</c>, <c>nbd+unix:///?socket=PATH</c>, <c>nbds://…</c>, and the same with
/// <c>farspan</c> for Farspan's own wire.
/// </summary>
internal sealed record ListenUri
{
    private const int NbdPort = 10809;
    private const int FarspanPort = 10900;

    private ListenUri(string text, bool isFarspan, StreamEndpoint endpoint, bool needsTls)
    {
        Text = text;
        IsFarspan = isFarspan;
        Endpoint = endpoint;
        NeedsTls = needsTls;
    }

    /// <summary>The text as given.</summary>
    public string Text { get; }

    /// <summary>Whether clients speak Farspan's own wire there; else NBD.</summary>
    public bool IsFarspan { get; }

    /// <summary>Where to listen.</summary>
    public StreamEndpoint Endpoint { get; }

    /// <summary>Whether the scheme asks for TLS.</summary>
    public bool NeedsTls { get; }

    /// <summary>The same listener, from whatever directory it is named.</summary>
    public string Absolute
    {
        get
        {
            string scheme = (IsFarspan ? "farspan" : "nbd") + (NeedsTls ? "s" : "");
            return Endpoint.Path is { } socket ? $"{scheme}+unix:///?socket={Escape(socket)}" : $"{scheme}://{Endpoint}";
        }
    }

    /// <summary>Parses the text.</summary>
    /// <exception cref="FormatException">It is no listener.</exception>
    public static ListenUri Parse(string text)
    {
        var uri = BackendUri.Parse(text);
        bool isFarspan = uri.Scheme is "farspan" or "farspans" or "farspan+unix" or "farspans+unix";
        if (!isFarspan && uri.Scheme is not ("nbd" or "nbds" or "nbd+unix" or "nbds+unix"))
            throw new FormatException($"{text} is no listener; give nbd://ADDRESS:PORT, farspan://ADDRESS:PORT, nbd+unix:///?socket=PATH or farspan+unix:///?socket=PATH");
        if (uri.Path is not ("" or "/"))
            throw new FormatException($"{text} names an export; name it with --name {uri.Path.TrimStart('/')}");
        bool needsTls = uri.Scheme.Replace("+unix", "", StringComparison.Ordinal) is "nbds" or "farspans";
        if (uri.Scheme.EndsWith("+unix", StringComparison.Ordinal))
        {
            uri.AllowOnly("socket");
            string socket = uri.Get("socket") ?? throw new FormatException($"{text} names no socket; write {uri.Scheme}:///?socket=PATH");
            return new ListenUri(text, isFarspan, StreamEndpoint.Unix(Path.GetFullPath(socket)), needsTls);
        }

        uri.AllowOnly();
        return new ListenUri(text, isFarspan, StreamEndpoint.Parse(uri.Authority ?? "", isFarspan ? FarspanPort : NbdPort), needsTls);
    }

    /// <summary>The URI that a client uses for an export of a listener.</summary>
    public static string ForClient(StreamEndpoint bound, string export, bool tls, bool isFarspan = false)
    {
        string scheme = (isFarspan ? "farspan" : "nbd") + (tls ? "s" : "");
        string name = Escape(export);
        if (bound.Path is not null)
            return $"{scheme}+unix:///{name}?socket={Escape(bound.Path)}";
        bool isAny = bound.Host is "0.0.0.0" or "::";
        return $"{scheme}://{(isAny ? $"{Environment.MachineName}:{bound.Port}" : bound.ToString())}/{name}";
    }

    private static string Escape(string text) => Uri.EscapeDataString(text).Replace("%2F", "/", StringComparison.Ordinal);
}
