using System.CommandLine;
using Farspan.Cli.Mounting;
using Farspan.Cli.Serving;
using Farspan.Cli.Terminal;
using Farspan.Transports;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan serve BACKEND</c>: serves a backend to NBD clients and to Farspan's own.</summary>
internal static class ServeCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var backend = new Argument<string>("BACKEND") { Description = "What to serve, such as file:disk.img, file:disk.img?size=1GiB (made when absent) or memory:1GiB." };
        var listen = ListenOptions.ForServe();
        var managed = ManagedOptions.ForServe();
        var name = new Option<string>("--name") { Description = "The export's name; empty is the default export.", HelpName = "EXPORT", DefaultValueFactory = _ => "" };
        var description = new Option<string>("--description") { Description = "A line about the export, which clients can show.", HelpName = "TEXT" };
        var readOnly = new Option<bool>("--read-only") { Description = "Refuse every write." };
        var line = new Option<string>("--simulate-line") { Description = "Put a slow line between the server and its clients, such as rtt=25ms,rate=1Gbit.", HelpName = "LINE" };
        var clients = new Option<int>("--max-clients") { Description = "Connections at once; further ones are closed.", DefaultValueFactory = _ => 256 };
        var traffic = new Option<bool>("--traffic") { Description = "Count the bytes that go over the connections, and say so at the end." };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Say who connects and what fails, on standard error." };
        var timeout = SharedOptions.Timeout();
        var json = SharedOptions.Json();
        var command = new VerbCommand("serve", "Serve a backend by the NBD protocol and Farspan's own until Ctrl-C, then flush it. With --managed a cache stands in between, and Ctrl-C pushes what is left.")
        {
            Examples =
            [
                ("farspan serve file:disk.img", $"at {ListenOptions.DefaultListen}, for this machine only"),
                ("farspan serve 'file:disk.img?size=10GiB' --listen 'nbd+unix:///?socket=/tmp/disk.sock'", "made when absent, on a Unix socket"),
                ("farspan serve memory:1GiB --listen nbd://0.0.0.0:10809 --tls-certificates /etc/pki/farspan", "for other machines, by TLS"),
                ("farspan serve file:disk.img --listen farspan://127.0.0.1:10900 --listen nbd://127.0.0.1:10809", "to Farspan clients and NBD clients at once"),
                ("farspan serve nbd://far/disk --managed --cache ~/disk.cache", "a far disk near by, for any number of NBD clients to read and write"),
                ("farspan serve file:disk.img --simulate-line rtt=25ms,rate=1Gbit", "as if the clients were far away"),
            ],
        };
        command.AddArgument(backend);
        foreach (var option in (Option[])[.. listen.All, name, description, readOnly, .. managed.All, line, clients, traffic, timeout, verbose, json])
            command.Add(option);
        command.SetAction(async (result, cancellationToken) =>
        {
            var requestTimeout = SharedOptions.ReadTimeout(result.GetValue(timeout)!);
            var settings = new ServeSettings
            {
                Backend = result.GetValue(backend)!,
                Exports = listen.Read(result) with
                {
                    Name = result.GetValue(name)!,
                    Description = result.GetValue(description) ?? "",
                    ReadOnly = result.GetValue(readOnly),
                    MaximumClients = result.GetValue(clients) is var count and >= 1 and <= 65535 ? count : throw new FormatException($"--max-clients {result.GetValue(clients)}: give 1 to 65535"),
                },
                Line = result.GetValue(line) is { } text ? LinkOptions.Parse(text) : null,
                Traffic = result.GetValue(traffic),
                Timeout = requestTimeout,
            };
            var mount = managed.Read(result, requestTimeout) is { } cached ? Mount(settings, cached) : null;
            var logger = new LineLogger(result.InvocationConfiguration.Error, result.GetValue(verbose) ? LogLevel.Information : LogLevel.Error);
            var output = new ServeOutput(result.InvocationConfiguration.Output, result.GetValue(json));
            var running = DetachedChild.IsThisProcess ? DetachedChild.Begin(cancellationToken) : cancellationToken;
            await (mount is null
                ? new BackendService(settings, output, logger).RunAsync(Registry.Create(), running)
                : new ManagedService(settings, mount, output, logger).RunAsync(Registry.Create(), running));
            return ExitCodes.Done;
        });
        return command;
    }

    private static MountSettings Mount(ServeSettings settings, ManagedSettings managed) => new()
    {
        Remote = settings.Backend,
        Target = null,
        ReadOnly = settings.Exports.ReadOnly,
        Timeout = settings.Timeout,
        Managed = managed,
        Progress = DetachedChild.IsThisProcess ? ProgressMode.None : SharedOptions.ProgressMode(progress: false, quiet: false),
    };
}
