using System.CommandLine;
using Farspan.Cli.Serving;
using Farspan.Nbd.Server;

namespace Farspan.Cli.Commands;

/// <summary>The options that have a mount serve NBD clients as well.</summary>
internal sealed class ListenOptions
{
    private readonly Option<string[]> _listen = new("--listen")
    {
        Description = "Serve the mount to NBD clients too, for reading: nbd://ADDRESS:PORT (port 0 chooses one) or nbd+unix:///?socket=PATH. May be repeated.",
        HelpName = "URI",
    };

    private readonly Option<bool> _insecure = new("--insecure") { Description = "With --listen: take clients from other machines without TLS." };
    private readonly Option<string> _certificates = new("--tls-certificates") { Description = "With --listen: a directory with server-cert.pem, server-key.pem and, to check clients, ca-cert.pem.", HelpName = "DIR" };
    private readonly Option<string> _tls = new("--tls") { Description = "With --listen: whether clients may (on) or must (require) use TLS. With --tls-certificates, require unless told." };
    private readonly Option<bool> _verifyPeer = new("--tls-verify-peer") { Description = "With --listen: refuse clients without a certificate that ca-cert.pem has signed." };

    public ListenOptions() => _tls.AcceptOnlyFromAmong("off", "on", "require");

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All => [_listen, _insecure, _certificates, _tls, _verifyPeer];

    /// <summary>What they say.</summary>
    /// <exception cref="FormatException">They do not fit together.</exception>
    public (IReadOnlyList<ListenUri> Listen, NbdServerTls? Tls) Read(ParseResult result)
    {
        IReadOnlyList<ListenUri> listen = [.. (result.GetValue(_listen) ?? []).Select(ListenUri.Parse)];
        if (listen.FirstOrDefault(static uri => uri.IsFarspan) is { } own)
            throw new FormatException($"{own.Text}: a mount is served to NBD clients; give nbd://ADDRESS:PORT or nbd+unix:///?socket=PATH");
        var tls = ServeCommand.Tls(result.GetValue(_certificates), result.GetValue(_tls), result.GetValue(_verifyPeer));
        ServeSettings.Check(listen, tls, result.GetValue(_insecure));
        return (listen, tls);
    }
}
