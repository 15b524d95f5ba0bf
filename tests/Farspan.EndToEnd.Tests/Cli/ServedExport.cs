using Farspan.TestKit;
using Farspan.TestKit.Peers;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary><c>farspan serve</c> in a directory of its own, with a URI that any NBD program takes.</summary>
internal sealed class ServedExport : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory;
    private readonly string[] _arguments;
    private PeerProcess _server;

    private ServedExport(TemporaryDirectory directory, string[] arguments, PeerProcess server)
    {
        _directory = directory;
        _arguments = arguments;
        _server = server;
        string line = server.Output.Split('\n').First(l => l.StartsWith("serving ", StringComparison.Ordinal));
        Uri = line[(line.LastIndexOf(" at ", StringComparison.Ordinal) + 4)..];
    }

    public string Uri { get; }

    public string this[string name] => _directory[name];

    public string Report => _server.Report;

    /// <summary>Serves a backend, whose path is relative to the directory, over <c>tcp</c> or <c>unix</c>.</summary>
    public static async Task<ServedExport> StartAsync(string transport, string backend, params string[] more)
    {
        var directory = new TemporaryDirectory();
        try
        {
            string listen = transport == "tcp" ? "nbd://127.0.0.1:0" : "nbd+unix:///?socket=s";
            string[] arguments = [backend, "--listen", listen, .. more];
            return new ServedExport(directory, arguments, await new FarspanProcess(directory).ServeAsync(arguments));
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    /// <summary>Ends it as a crash would.</summary>
    public async Task KillAsync()
    {
        await _server.SignalAsync("KILL");
        await _server.DisposeAsync();
    }

    /// <summary>Starts it again as it was; over a Unix socket the URI stays the same.</summary>
    public async Task RestartAsync() => _server = await new FarspanProcess(_directory).ServeAsync(_arguments);

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _directory.Dispose();
    }
}
