using Farspan.Nbd.Server;
using Farspan.Transports;

namespace Farspan.Cli.Serving;

/// <summary>What <c>farspan serve</c> was asked for.</summary>
internal sealed record ServeSettings
{
    /// <summary>The URI of what is served.</summary>
    public required string Backend { get; init; }

    /// <summary>Where to listen; at least one.</summary>
    public required IReadOnlyList<ListenUri> Listen { get; init; }

    /// <summary>The export's name. Default: empty, the default export.</summary>
    public string Name { get; init; } = "";

    /// <summary>A line about the export for people. Default: empty.</summary>
    public string Description { get; init; } = "";

    /// <summary>Refuse writes. Default: false.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Take clients from other machines without TLS. Default: false.</summary>
    public bool Insecure { get; init; }

    /// <summary>TLS; null for none.</summary>
    public NbdServerTls? Tls { get; init; }

    /// <summary>A line to put between the server and its clients, as <see cref="LinkOptions.Parse"/> reads it; null for none.</summary>
    public LinkOptions? Line { get; init; }

    /// <summary>Count and report bytes. Default: false.</summary>
    public bool Traffic { get; init; }

    /// <summary>Clients at once. Default: 256.</summary>
    public int MaximumClients { get; init; } = 256;

    /// <summary>Checks what must fit together.</summary>
    /// <exception cref="FormatException">A listener would take clients from other machines in the clear without <c>--insecure</c>, or TLS is missing.</exception>
    public void Validate() => Check(Listen, Tls, Insecure);

    /// <summary>Checks that listeners fit what is said of TLS.</summary>
    /// <exception cref="FormatException">A listener would take clients from other machines in the clear without <c>--insecure</c>, or TLS is missing.</exception>
    public static void Check(IReadOnlyList<ListenUri> listeners, NbdServerTls? tls, bool insecure)
    {
        foreach (var listen in listeners)
        {
            if (listen.NeedsTls && tls is null)
                throw new FormatException($"{listen.Text} needs certificates; give --tls-certificates DIR");
            if (listen.Endpoint.IsLocal || insecure || tls is { Required: true })
                continue;
            throw new FormatException(
                $"{listen.Text} can be reached from other machines; give --tls-certificates DIR with --tls require, or --insecure to serve anybody in the clear");
        }
    }
}
