using Farspan.Nbd.Server;

namespace Farspan.Cli.Serving;

/// <summary>Where something is served, and how.</summary>
internal sealed record ExportSettings
{
    /// <summary>Where to listen. Default: nowhere.</summary>
    public IReadOnlyList<ListenUri> Listen { get; init; } = [];

    /// <summary>TLS; null for none.</summary>
    public NbdServerTls? Tls { get; init; }

    /// <summary>The export's name. Default: empty, the default export.</summary>
    public string Name { get; init; } = "";

    /// <summary>A line about the export for people. Default: empty.</summary>
    public string Description { get; init; } = "";

    /// <summary>Refuse writes. Default: false.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Clients at once, of each wire. Default: 256.</summary>
    public int MaximumClients { get; init; } = 256;

    /// <summary>Wraps each connection; null for none.</summary>
    public Func<Stream, Stream>? WrapConnection { get; init; }

    /// <summary>The file that keeps the last lease; null to keep it in memory.</summary>
    public string? LeaseFile { get; init; }

    /// <summary>The arguments of a command that serves the same in the same way.</summary>
    public IReadOnlyList<string> Arguments()
    {
        var arguments = new List<string>();
        foreach (var listen in Listen)
            arguments.AddRange(["--listen", listen.Absolute]);
        if (Name.Length > 0)
            arguments.AddRange(["--name", Name]);
        if (Tls is { } tls)
        {
            arguments.AddRange(["--tls-certificates", Path.GetFullPath(tls.CertificateDirectory), "--tls", tls.Required ? "require" : "on"]);
            if (tls.RequireClientCertificate)
                arguments.Add("--tls-verify-peer");
        }

        if (Tls is not { Required: true } && Listen.Any(static listen => !listen.Endpoint.IsLocal))
            arguments.Add("--insecure");
        return arguments;
    }

    /// <summary>Checks that the listeners fit what is said of TLS.</summary>
    /// <param name="isInsecure">Whether clients from other machines are taken without TLS.</param>
    /// <exception cref="FormatException">A listener would take clients from other machines in the clear without <c>--insecure</c>, or TLS is missing.</exception>
    public void Check(bool isInsecure)
    {
        foreach (var listen in Listen)
        {
            if (listen.NeedsTls && Tls is null)
                throw new FormatException($"{listen.Text} needs certificates; give --tls-certificates DIR");
            if (listen.Endpoint.IsLocal || isInsecure || Tls is { Required: true })
                continue;
            throw new FormatException(
                $"{listen.Text} can be reached from other machines; give --tls-certificates DIR with --tls require, or --insecure to serve anybody in the clear");
        }
    }
}
