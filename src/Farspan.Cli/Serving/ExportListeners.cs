using Farspan.Transports;

namespace Farspan.Cli.Serving;

/// <summary>The addresses that a command line asks for, bound: nobody is served before <see cref="ExportServers"/> does.</summary>
internal sealed class ExportListeners : IDisposable
{
    private readonly List<(ListenUri Uri, StreamListener Listener)> _bound = [];

    /// <summary>The listeners, each with what was asked for.</summary>
    public IReadOnlyList<(ListenUri Uri, StreamListener Listener)> Bound => _bound;

    /// <summary>Binds all of them, or none.</summary>
    /// <exception cref="CommandException">An address cannot be listened on.</exception>
    public static ExportListeners Bind(IEnumerable<ListenUri> uris)
    {
        var listeners = new ExportListeners();
        try
        {
            foreach (var uri in uris)
                listeners._bound.Add((uri, Bind(uri)));
            return listeners;
        }
        catch
        {
            listeners.Dispose();
            throw;
        }
    }

    /// <summary>The URIs that clients use, in the order that was given.</summary>
    public IReadOnlyList<string> Uris(ExportSettings settings)
        => [.. _bound.Select(bound => ListenUri.ForClient(bound.Listener.Endpoint, settings.Name, settings.Tls is not null, bound.Uri.IsFarspan))];

    /// <summary>Listens no more.</summary>
    public void Dispose() => _bound.ForEach(bound => bound.Listener.Dispose());

    private static StreamListener Bind(ListenUri uri)
    {
        try
        {
            return StreamListener.Bind(uri.Endpoint);
        }
        catch (IOException error)
        {
            throw new CommandException($"{error.Message.TrimEnd('.')}; choose another address with --listen", error);
        }
    }
}
