using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Farspan.Transports;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>A running nbdkit on a Unix socket of its own, or on a TCP port.</summary>
internal sealed class NbdkitServer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory;
    private readonly string[] _arguments;
    private PeerProcess _process;

    private NbdkitServer(TemporaryDirectory directory, string[] arguments, PeerProcess process)
    {
        _directory = directory;
        _arguments = arguments;
        _process = process;
    }

    public string Socket => _directory["s"];

    public string Report => _process.Report;

    public NbdClientOptions Options => new() { Endpoint = StreamEndpoint.Unix(Socket) };

    /// <summary>Starts nbdkit with these arguments (filters, plugin, its parameters) on a Unix socket; <c>{dir}</c> stands for its directory.</summary>
    public static Task<NbdkitServer> StartAsync(params string[] arguments) => StartAsync(new TemporaryDirectory(), arguments);

    /// <summary>Starts nbdkit on a sparse file <c>disk</c> in its directory; <paramref name="arguments"/> are filters and options.</summary>
    public static Task<NbdkitServer> StartFileAsync(long length, params string[] arguments)
    {
        var directory = new TemporaryDirectory();
        using (var file = File.Create(directory["disk"]))
            file.SetLength(length);
        return StartAsync(directory, [.. arguments, "file", directory["disk"]]);
    }

    private static async Task<NbdkitServer> StartAsync(TemporaryDirectory directory, string[] arguments)
    {
        try
        {
            var process = await LaunchAsync(directory, arguments);
            return new NbdkitServer(directory, arguments, process);
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    public string Disk => _directory["disk"];

    /// <summary>Ends it as a crash would.</summary>
    public async Task KillAsync() => await _process.DisposeAsync();

    /// <summary>Starts it again as it was.</summary>
    public async Task RestartAsync()
    {
        await _process.DisposeAsync();
        _process = await LaunchAsync(_directory, _arguments);
    }

    public Task<NbdClientBackend> ConnectAsync() => NbdClientBackend.ConnectAsync(Options);

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _directory.Dispose();
    }

    private static async Task<PeerProcess> LaunchAsync(TemporaryDirectory directory, string[] arguments)
    {
        File.Delete(directory["s"]);
        File.Delete(directory["pid"]);
        var process = PeerProcess.Start(
            "nbdkit",
            [
                "--foreground", "--pidfile", directory["pid"], "--unix", directory["s"],
                .. arguments.Select(a => a.Replace("{dir}", directory.Path, StringComparison.Ordinal)),
            ]);
        try
        {
            await process.WaitUntilAsync(_ => File.Exists(directory["pid"]));
            return process;
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }
}
