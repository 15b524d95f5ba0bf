using Farspan.Backends;
using Farspan.Linux.Userfaults.Agents;
using Farspan.Mounts;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Agents;

/// <summary>One <c>farspan uffd-agent</c>: opens the backend, serves clients until told to stop, has everything saved.</summary>
internal sealed class AgentService(AgentSettings settings, AgentOutput output, ILogger logger)
{
    /// <summary>Serves until cancelled; what clients wrote is durable when it returns.</summary>
    /// <exception cref="BackendException">The backend cannot be opened.</exception>
    /// <exception cref="CommandException">The socket cannot be listened on.</exception>
    /// <exception cref="MountException">Something that a client wrote is not at the remote; the message says how much.</exception>
    public async Task RunAsync(BackendRegistry registry, CancellationToken cancellationToken)
    {
        var remote = await registry.OpenAsync(
            settings.Backend, new BackendOpenOptions { ReadOnly = settings.Options.ReadOnly, Timeout = settings.Timeout }, cancellationToken);
        await using var backend = await OpenAsync(remote, cancellationToken);
        using var agent = Bind(backend);
        output.Write(new AgentEvent("ready")
        {
            Listen = $"unix:{agent.SocketPath}",
            Backend = settings.Backend,
            Length = backend.Length,
            ReadOnly = settings.Options.ReadOnly || backend.IsReadOnly,
            ProcessId = Environment.ProcessId,
            Cache = settings.Managed?.Options.CacheDirectory,
        });
        await agent.RunAsync(cancellationToken);
        if (backend is ManagedBackend managed)
            await managed.DisposeAsync();
        output.Write(new AgentEvent("stopped"));
    }

    private async Task<IBackend> OpenAsync(IBackend remote, CancellationToken cancellationToken)
    {
        if (settings.Managed is not { } managed)
            return remote;
        try
        {
            return await ManagedBackend.OpenAsync(remote, managed.For(BackendUri.Parse(settings.Backend).Identity, remote.Length), cancellationToken);
        }
        catch
        {
            await remote.DisposeAsync();
            throw;
        }
    }

    private UserfaultAgent Bind(IBackend backend)
    {
        try
        {
            return UserfaultAgent.Bind(settings.SocketPath, backend, settings.Options with { OnClient = output.Write, Logger = logger });
        }
        catch (IOException error) when (error is not BackendException)
        {
            throw new CommandException($"{error.Message.TrimEnd('.')}; choose another path with --listen", error);
        }
    }
}
