using System.Text.Json;
using Farspan.Cli.Serving;
using Farspan.Cli.Terminal;

namespace Farspan.Cli.Demo;

/// <summary>The demo's <c>farspan serve</c>, behind a simulated line, and the count of what goes over it.</summary>
internal sealed class DemoServer : IAsyncDisposable
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan QuietPatience = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly DemoChild _child;
    private (long Received, long Sent) _traffic;
    private long _changed;

    private DemoServer(IReadOnlyList<string> arguments) => _child = DemoChild.Start(arguments, See);

    /// <summary>The URI for clients.</summary>
    public string Uri { get; private set; } = "";

    /// <summary>Starts it and waits until it is ready.</summary>
    public static async Task<DemoServer> StartAsync(string file, string socket, string line, CancellationToken cancellationToken)
    {
        var server = new DemoServer(
            ["serve", $"file:{file}", "--listen", $"nbd+unix:///?socket={System.Uri.EscapeDataString(socket)}", "--simulate-line", line, "--traffic", "--json"]);
        try
        {
            string ready = await server._child.ReadLineAsync(cancellationToken);
            server.Uri = JsonSerializer.Deserialize(ready, CliJson.Shapes.ServeEvent)?.Uris?[0] ?? throw new CommandException($"the demo's server answered '{ready}'");
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>The bytes so far, once nothing has moved for a moment.</summary>
    public async Task<(long Received, long Sent)> CountAsync(CancellationToken cancellationToken)
    {
        long started = Environment.TickCount64;
        while (true)
        {
            await Task.Delay(50, cancellationToken);
            long now = Environment.TickCount64;
            lock (_lock)
            {
                bool isQuiet = now - Math.Max(_changed, started) >= Quiet.TotalMilliseconds;
                if (isQuiet || now - started > QuietPatience.TotalMilliseconds)
                    return _traffic;
            }
        }
    }

    /// <summary>Stops it; what it was sent is durable afterwards.</summary>
    /// <exception cref="CommandException">It could not flush.</exception>
    public Task StopAsync(CancellationToken cancellationToken) => _child.StopAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _child.DisposeAsync();

    private void See(string line)
    {
        if (JsonSerializer.Deserialize(line, CliJson.Shapes.ServeEvent) is not { Received: { } received, Sent: { } sent })
            return;
        lock (_lock)
        {
            _traffic = (received, sent);
            _changed = Environment.TickCount64;
        }
    }
}
