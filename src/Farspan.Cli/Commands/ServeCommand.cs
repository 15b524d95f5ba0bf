using System.CommandLine;
using Farspan.Cli.Mounting;
using Farspan.Cli.Serving;
using Farspan.Cli.Terminal;
using Farspan.Nbd.Server;
using Farspan.Transports;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan serve BACKEND</c>: serves a backend to NBD clients and to Farspan's own.</summary>
internal static class ServeCommand
{
    private const string DefaultListen = "nbd://127.0.0.1:10809";

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var backend = new Argument<string>("BACKEND") { Description = "What to serve, such as file:disk.img, file:disk.img?size=1GiB (made when absent) or memory:1GiB." };
        var listen = new Option<string[]>("--listen")
        {
            Description = $"Where to listen: nbd://ADDRESS:PORT (port 0 chooses one) or nbd+unix:///?socket=PATH, or the same with farspan for Farspan's own wire, which also gives leases. May be repeated. [default: {DefaultListen}]",
            HelpName = "URI",
        };
        var name = new Option<string>("--name") { Description = "The export's name; empty is the default export.", HelpName = "EXPORT", DefaultValueFactory = _ => "" };
        var description = new Option<string>("--description") { Description = "A line about the export, which clients can show.", HelpName = "TEXT" };
        var readOnly = new Option<bool>("--read-only") { Description = "Refuse every write." };
        var insecure = new Option<bool>("--insecure") { Description = "Take clients from other machines without TLS." };
        var certificates = new Option<string>("--tls-certificates") { Description = "A directory with server-cert.pem, server-key.pem and, to check clients, ca-cert.pem.", HelpName = "DIR" };
        var tls = new Option<string>("--tls") { Description = "Whether clients may (on) or must (require) use TLS. With --tls-certificates, require unless told." };
        tls.AcceptOnlyFromAmong("off", "on", "require");
        var verifyPeer = new Option<bool>("--tls-verify-peer") { Description = "Refuse clients without a certificate that ca-cert.pem has signed." };
        var line = new Option<string>("--simulate-line") { Description = "Put a slow line between the server and its clients, such as rtt=25ms,rate=1Gbit.", HelpName = "LINE" };
        var clients = new Option<int>("--max-clients") { Description = "Connections at once; further ones are closed.", DefaultValueFactory = _ => 256 };
        var traffic = new Option<bool>("--traffic") { Description = "Count the bytes that go over the connections, and say so at the end." };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Say who connects and what fails, on standard error." };
        var json = SharedOptions.Json();
        var command = new VerbCommand("serve", "Serve a backend by the NBD protocol and Farspan's own until Ctrl-C, then flush it.")
        {
            Examples =
            [
                ("farspan serve file:disk.img", $"at {DefaultListen}, for this machine only"),
                ("farspan serve 'file:disk.img?size=10GiB' --listen 'nbd+unix:///?socket=/tmp/disk.sock'", "made when absent, on a Unix socket"),
                ("farspan serve memory:1GiB --listen nbd://0.0.0.0:10809 --tls-certificates /etc/pki/farspan", "for other machines, by TLS"),
                ("farspan serve file:disk.img --listen farspan://127.0.0.1:10900 --listen nbd://127.0.0.1:10809", "to Farspan clients and NBD clients at once"),
                ("farspan serve file:disk.img --simulate-line rtt=25ms,rate=1Gbit", "as if the clients were far away"),
            ],
        };
        command.AddArgument(backend);
        foreach (var option in (Option[])[listen, name, description, readOnly, insecure, certificates, tls, verifyPeer, line, clients, traffic, verbose, json])
            command.Add(option);
        command.SetAction(async (result, cancellationToken) =>
        {
            string[] listeners = result.GetValue(listen) is { Length: > 0 } told ? told : [DefaultListen];
            var settings = new ServeSettings
            {
                Backend = result.GetValue(backend)!,
                Listen = [.. listeners.Select(ListenUri.Parse)],
                Name = result.GetValue(name)!,
                Description = result.GetValue(description) ?? "",
                ReadOnly = result.GetValue(readOnly),
                Insecure = result.GetValue(insecure),
                Tls = Tls(result.GetValue(certificates), result.GetValue(tls), result.GetValue(verifyPeer)),
                Line = result.GetValue(line) is { } text ? LinkOptions.Parse(text) : null,
                Traffic = result.GetValue(traffic),
                MaximumClients = result.GetValue(clients) is var count and >= 1 and <= 65535 ? count : throw new FormatException($"--max-clients {result.GetValue(clients)}: give 1 to 65535"),
            };
            settings.Validate();
            var logger = new LineLogger(result.InvocationConfiguration.Error, result.GetValue(verbose) ? LogLevel.Information : LogLevel.Error);
            var output = new ServeOutput(result.InvocationConfiguration.Output, result.GetValue(json));
            var running = DetachedChild.IsThisProcess ? DetachedChild.Begin(cancellationToken) : cancellationToken;
            await new BackendService(settings, output, logger).RunAsync(Registry.Create(), running);
            return ExitCodes.Done;
        });
        return command;
    }

    internal static NbdServerTls? Tls(string? certificates, string? mode, bool verifyPeer)
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
