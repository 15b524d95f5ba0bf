using Farspan.Backends;
using Farspan.Cli.Mounting;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Serving;

/// <summary>One <c>farspan serve --managed</c>: a managed mount without a file, which its clients read and write.</summary>
internal sealed class ManagedService(ServeSettings settings, MountSettings mount, ServeOutput output, ILogger logger)
{
    private readonly ServedTraffic _traffic = new(settings, output);

    /// <summary>Serves until cancelled or unmounted; what was written is durable at the remote when it returns.</summary>
    /// <exception cref="BackendException">The remote cannot be opened, or something could not be made durable.</exception>
    /// <exception cref="CommandException">An address cannot be listened on.</exception>
    /// <exception cref="Mounts.MountException">Not everything was pushed; the message says how much is left, and where it is kept.</exception>
    public async Task RunAsync(BackendRegistry registry, CancellationToken cancellationToken)
    {
        var exports = settings.Exports with { WrapConnection = _traffic.Wrapping };
        await using var process = await MountProcess.StartAsync(mount with { Exports = exports }, registry, cancellationToken, logger);
        output.Write(new ServeEvent("ready")
        {
            Uris = process.Mounted.Listens,
            Backend = settings.Backend,
            Length = process.Mounted.Length,
            ReadOnly = process.Mounted.ReadOnly,
            ProcessId = Environment.ProcessId,
            Cache = process.Mounted.Cache,
            LocalBytes = process.Mounted.LocalBytes,
        });
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reporting = _traffic.ReportAsync(ended.Token);
        try
        {
            await process.RunAsync(cancellationToken);
        }
        finally
        {
            await ended.CancelAsync();
            await reporting;
        }

        output.Write(_traffic.Stopped);
    }
}
