using System.CommandLine;
using Farspan.Cli.Serving;
using Farspan.Nbd.Server;

namespace Farspan.Cli.Commands;

/// <summary>Where something is served and to whom, as <c>serve</c> and <c>mount</c> have it.</summary>
internal sealed class ListenOptions
{
    /// <summary>Where <c>serve</c> listens unless told.</summary>
    public const string DefaultListen = "nbd://127.0.0.1:10809";

    /// <summary>Where <c>seed</c> listens unless told.</summary>
    public const string DefaultSeed = "farspan://127.0.0.1:10900";

    private readonly Option<string[]> _listen;
    private readonly Option<bool> _insecure;
    private readonly Option<string> _certificates;
    private readonly Option<string> _tls;
    private readonly Option<bool> _verifyPeer;
    private readonly string[] _unlessTold;

    private ListenOptions(string listen, string condition, string[] unlessTold)
    {
        _listen = new("--listen") { Description = listen, HelpName = "URI" };
        _insecure = new("--insecure") { Description = $"{condition}ake clients from other machines without TLS." };
        _certificates = new("--tls-certificates") { Description = "A directory with server-cert.pem, server-key.pem and, to check clients, ca-cert.pem.", HelpName = "DIR" };
        _tls = new("--tls") { Description = "Whether clients may (on) or must (require) use TLS. With --tls-certificates, require unless told." };
        _verifyPeer = new("--tls-verify-peer") { Description = "Refuse clients without a certificate that ca-cert.pem has signed." };
        _tls.AcceptOnlyFromAmong("off", "on", "require");
        _unlessTold = unlessTold;
    }

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All => [_listen, _insecure, _certificates, _tls, _verifyPeer];

    /// <summary>Those of <c>serve</c>.</summary>
    public static ListenOptions ForServe()
        => new(
            $"Where to listen: nbd://ADDRESS:PORT (port 0 chooses one) or nbd+unix:///?socket=PATH, or the same with farspan for Farspan's own wire, which also gives leases. May be repeated. [default: {DefaultListen}]",
            "T",
            [DefaultListen]);

    /// <summary>Those of <c>mount</c>, which serves nobody unless told.</summary>
    public static ListenOptions ForMount()
        => new(
            "Serve the mount to clients too, for reading: nbd://ADDRESS:PORT (port 0 chooses one) or nbd+unix:///?socket=PATH, or the same with farspan for Farspan's own wire. May be repeated.",
            "With --listen: t",
            []);

    /// <summary>Those of <c>seed</c>, which speaks Farspan's own wire.</summary>
    public static ListenOptions ForSeed()
        => new(
            $"Where leechers find the region: farspan://ADDRESS:PORT (port 0 chooses one) or farspan+unix:///?socket=PATH. May be repeated. [default: {DefaultSeed}]",
            "T",
            [DefaultSeed]);

    /// <summary>Those of <c>leech</c>, which nobody leeches from unless told.</summary>
    public static ListenOptions ForLeech()
        => new(
            "Let the next host leech the region from here, once all of it has come, while its program goes on: farspan://ADDRESS:PORT (port 0 chooses one) or farspan+unix:///?socket=PATH. May be repeated.",
            "With --listen: t",
            []);

    /// <summary>What they say, of those who move a region.</summary>
    /// <exception cref="FormatException">They do not fit together, or name another wire than Farspan's own.</exception>
    public ExportSettings ReadMoving(ParseResult result, string name)
    {
        var settings = Read(result) with { Name = name };
        return settings.Listen.FirstOrDefault(static uri => !uri.IsFarspan) is { } other
            ? throw new FormatException($"{other.Text} is no address of Farspan's own wire, which alone moves a region; give farspan://ADDRESS:PORT or farspan+unix:///?socket=PATH")
            : settings;
    }

    /// <summary>What they say.</summary>
    /// <exception cref="FormatException">They do not fit together.</exception>
    public ExportSettings Read(ParseResult result)
    {
        var settings = new ExportSettings
        {
            Listen = [.. (result.GetValue(_listen) is { Length: > 0 } told ? told : _unlessTold).Select(ListenUri.Parse)],
            Tls = Tls(result.GetValue(_certificates), result.GetValue(_tls), result.GetValue(_verifyPeer)),
        };
        settings.Check(result.GetValue(_insecure));
        return settings;
    }

    private static NbdServerTls? Tls(string? certificates, string? mode, bool verifyPeer)
    {
        mode ??= certificates is null ? "off" : "require";
        if (mode == "off")
        {
            if (verifyPeer)
                throw new FormatException("--tls-verify-peer needs --tls-certificates DIR");
            return null;
        }

        if (certificates is null)
            throw new FormatException($"--tls {mode} needs --tls-certificates DIR");
        return new NbdServerTls { CertificateDirectory = Path.GetFullPath(certificates), Required = mode == "require", RequireClientCertificate = verifyPeer };
    }
}
