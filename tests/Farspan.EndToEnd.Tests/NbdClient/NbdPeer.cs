using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Farspan.Transports;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>A running NBD server of another make on a Unix socket of its own, in a directory of its own.</summary>
internal sealed class NbdPeer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory;
    private readonly string _program;
    private readonly string[] _arguments;
    private PeerProcess _process;

    private NbdPeer(TemporaryDirectory directory, string program, string[] arguments, PeerProcess process)
    {
        _directory = directory;
        _program = program;
        _arguments = arguments;
        _process = process;
    }

    public string Socket => _directory["s"];

    /// <summary>The file that is served, where one is.</summary>
    public string Disk => _directory["disk"];

    public string Report => _process.Report;

    public string this[string name] => _directory[name];

    public NbdClientOptions Options => new() { Endpoint = StreamEndpoint.Unix(Socket) };

    /// <summary>Starts nbdkit with these arguments (filters, plugin, its parameters); <c>{dir}</c> stands for its directory.</summary>
    public static Task<NbdPeer> StartAsync(params string[] arguments) => StartAsync(new TemporaryDirectory(), "nbdkit", NbdkitArguments(arguments));

    /// <summary>Starts nbdkit on a sparse file <c>disk</c> in its directory; <paramref name="arguments"/> are filters and options.</summary>
    public static Task<NbdPeer> StartFileAsync(long length, params string[] arguments)
        => StartAsync(WithDisk(length), "nbdkit", NbdkitArguments([.. arguments, "file", "{dir}/disk"]));

    /// <summary>Starts qemu-nbd on a sparse raw file <c>disk</c>.</summary>
    public static Task<NbdPeer> StartQemuAsync(long length, params string[] arguments)
        => StartAsync(
            WithDisk(length),
            "qemu-nbd",
            ["--persistent", "--format=raw", "--shared=4", "--socket={dir}/s", "--pid-file={dir}/pid", "--discard=unmap", .. arguments, "{dir}/disk"]);

    /// <summary>Starts qemu-storage-daemon on a sparse raw file <c>disk</c>.</summary>
    public static Task<NbdPeer> StartStorageDaemonAsync(long length)
        => StartAsync(
            WithDisk(length),
            "qemu-storage-daemon",
            [
                "--blockdev", "driver=file,node-name=disk,filename={dir}/disk,discard=unmap", "--nbd-server", "addr.type=unix,addr.path={dir}/s",
                "--export", "type=nbd,id=export,node-name=disk,name=,writable=on", "--pidfile", "{dir}/pid",
            ]);

    /// <summary>Starts nbdkit in a directory that is prepared already, and removed with it.</summary>
    public static Task<NbdPeer> StartInAsync(TemporaryDirectory directory, params string[] arguments)
        => StartAsync(directory, "nbdkit", NbdkitArguments(arguments));

    /// <summary>Ends it as a crash would.</summary>
    public async Task KillAsync() => await _process.DisposeAsync();

    /// <summary>Starts it again as it was.</summary>
    public async Task RestartAsync()
    {
        await _process.DisposeAsync();
        _process = await LaunchAsync(_directory, _program, _arguments);
    }

    public Task<NbdClientBackend> ConnectAsync() => NbdClientBackend.ConnectAsync(Options);

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _directory.Dispose();
    }

    private static string[] NbdkitArguments(string[] arguments) => ["--foreground", "--pidfile", "{dir}/pid", "--unix", "{dir}/s", .. arguments];

    private static TemporaryDirectory WithDisk(long length)
    {
        var directory = new TemporaryDirectory();
        using var file = File.Create(directory["disk"]);
        file.SetLength(length);
        return directory;
    }

    private static async Task<NbdPeer> StartAsync(TemporaryDirectory directory, string program, string[] arguments)
    {
        try
        {
            var process = await LaunchAsync(directory, program, arguments);
            return new NbdPeer(directory, program, arguments, process);
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    private static async Task<PeerProcess> LaunchAsync(TemporaryDirectory directory, string program, string[] arguments)
    {
        File.Delete(directory["s"]);
        File.Delete(directory["pid"]);
        var process = PeerProcess.Start(program, arguments.Select(a => a.Replace("{dir}", directory.Path, StringComparison.Ordinal)));
        try
        {
            await process.WaitUntilAsync(_ => File.Exists(directory["pid"]) && File.Exists(directory["s"]));
            return process;
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }
}
