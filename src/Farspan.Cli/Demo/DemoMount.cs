using System.Text.Json;
using Farspan.Cli.Mounting;
using Farspan.Cli.Terminal;

namespace Farspan.Cli.Demo;

/// <summary>The demo's <c>farspan mount</c>.</summary>
internal sealed class DemoMount(string uri, string target) : IAsyncDisposable
{
    private DemoChild? _child;

    /// <summary>Mounts and returns the file's path once it can be used.</summary>
    public async Task<string> StartAsync(CancellationToken cancellationToken)
    {
        _child = DemoChild.Start(["mount", uri, target, "--direct", "--foreground", "--json"]);
        string line = await _child.ReadLineAsync(cancellationToken);
        return JsonSerializer.Deserialize(line, CliJson.Shapes.MountedFile)?.Path ?? throw new CommandException($"the demo's mount answered '{line}'");
    }

    /// <summary>Unmounts as <c>farspan umount</c> does.</summary>
    public async Task<string> StopAsync(CancellationToken cancellationToken)
    {
        await new Unmounting(target, TextWriter.Null).RunAsync(lazy: false, force: false, cancellationToken);
        await _child!.WaitAsync(cancellationToken);
        return "everything is durable at the server";
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_child is not null)
            await _child.DisposeAsync();
    }
}
