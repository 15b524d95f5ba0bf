using System.Net;
using System.Net.Sockets;
using System.Reflection;

namespace Farspan.Figures.Mounts;

/// <summary>
/// The remotes and the lines to them. One NBD server for all who speak it, nbdkit's memory, so that none of those compared serves itself; for rclone,
/// its own WebDAV server of the same bytes. In front of each a relay that is the line.
/// </summary>
internal sealed class MountWorld(FigureOptions options) : IAsyncDisposable
{
    public const long Length = 512L << 20;
    public const long HugeLength = 1L << 40;
    public const int WriteLength = 256 << 20;

    private readonly List<RunningServer> _servers = [];
    private readonly string _data = Directory.CreateDirectory(Path.Combine("/dev/shm", $"farspan-figures-{Environment.ProcessId}")).FullName;
    private int _places;

    /// <summary>Random bytes to write.</summary>
    public string WriteSource => Path.Combine(_data, "write");

    /// <summary>The socket of the remote itself, without a line.</summary>
    public string RemoteSocket => Path.Combine(options.Scratch, "remote");

    /// <summary>Starts the servers and fills the remote with random bytes.</summary>
    public async Task StartAsync()
    {
        string served = Directory.CreateDirectory(Path.Combine(_data, "served")).FullName;
        string data = Path.Combine(served, "export");
        await Shell.RunAsync("dd", "if=/dev/urandom", $"of={data}", "bs=1M", $"count={Length >> 20}", "status=none");
        await Shell.RunAsync("dd", "if=/dev/urandom", $"of={WriteSource}", "bs=1M", $"count={WriteLength >> 20}", "status=none");
        await ServeAsync("nbdkit", RemoteSocket, ["-f", "-U", RemoteSocket, "memory", $"{Length}"]);
        await ServeAsync("nbdkit", RemoteSocket + "1T", ["-f", "-U", RemoteSocket + "1T", "memory", $"{HugeLength}"]);
        await Shell.RunAsync("nbdcopy", data, $"nbd+unix:///?socket={RemoteSocket}");
    }

    /// <summary>Starts the server of the same bytes over HTTP; returns its address.</summary>
    public async Task<string> ServeHttpAsync()
    {
        string address = $"127.0.0.1:{FreePort()}";
        _servers.Add(Shell.Serve("rclone", "serve", "webdav", Path.Combine(_data, "served"), "--addr", address, "--config", "/dev/null"));
        await Shell.WaitAsync("rclone serve", () => Answers(address));
        return address;
    }

    /// <summary>A line to the remote; returns the socket at its near end.</summary>
    public async Task<string> LineAsync(string name, string line, bool isHuge = false)
    {
        string socket = Path.Combine(options.Scratch, name);
        await RelayAsync(line, socket, isHuge ? RemoteSocket + "1T" : RemoteSocket, () => File.Exists(socket));
        return socket;
    }

    /// <summary>A line to the HTTP server; returns the address of its near end.</summary>
    public async Task<string> HttpLineAsync(string line, string server)
    {
        string address = $"127.0.0.1:{FreePort()}";
        await RelayAsync(line, address, server, () => Answers(address));
        return address;
    }

    /// <summary>A fresh place for a mount, on a disk.</summary>
    public MountPlace NewPlace(string socket, string? address)
        => new(socket, address, Directory.CreateDirectory(Path.Combine(options.Scratch, $"m{++_places}")).FullName);

    /// <summary>What the servers and lines complained of lately, and which of them have ended.</summary>
    public string Complaints() => string.Concat(_servers.Select(static server => server.Report()));

    public ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
            server.Dispose();
        Directory.Delete(_data, recursive: true);
        return default;
    }

    private async Task ServeAsync(string program, string socket, string[] arguments)
    {
        _servers.Add(Shell.Serve(program, arguments));
        await Shell.WaitAsync(program, () => File.Exists(socket));
    }

    private async Task RelayAsync(string line, string listen, string target, Func<bool> isReady)
    {
        _servers.Add(Shell.Serve(Environment.ProcessPath!, Assembly.GetExecutingAssembly().Location, "relay", line, listen, target));
        await Shell.WaitAsync("the line", isReady);
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private static bool Answers(string address)
    {
        try
        {
            using var probe = new TcpClient();
            probe.Connect(IPEndPoint.Parse(address));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
