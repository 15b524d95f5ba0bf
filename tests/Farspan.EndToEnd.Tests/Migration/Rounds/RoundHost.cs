using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Farspan.EndToEnd.Tests.Managed;
using Farspan.Migration;
using Farspan.TestKit;
using Farspan.TestKit.Peers;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>One of the two hosts: a directory with a store and a target, what runs there, and the line by which the other one reaches it.</summary>
internal sealed class RoundHost : IAsyncDisposable
{
    private readonly int _port = FreePort();
    private string[] _arguments = [];
    private PeerProcess? _process;
    private string _earlier = "";

    public RoundHost(string name, string directory)
    {
        Name = name;
        Folder = Directory.CreateDirectory(Path.Combine(directory, name)).FullName;
        Line = new CuttableLine(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, _port));
    }

    public string Name { get; }

    public string Folder { get; }

    public string Store => Path.Combine(Folder, "disk");

    public string Target => Path.Combine(Folder, "target");

    /// <summary>The line to what is seeded here.</summary>
    public CuttableLine Line { get; }

    /// <summary>Where it is seeded.</summary>
    public string Listen => $"farspan://127.0.0.1:{_port}";

    /// <summary>Where the other host finds it.</summary>
    public string Uri => $"farspan://{Line.Here}/";

    /// <summary>Counts the starts of the program here: a hook says which of them it is of.</summary>
    public int Incarnation { get; private set; }

    /// <summary>The program; it may have ended.</summary>
    public PeerProcess Process => _process ?? throw new InvalidOperationException($"Nothing was started at {Name}.");

    /// <summary>What the program has said, and the one before it.</summary>
    public string Reports => string.Join('\n', $"{_earlier}{_process?.Report}".Split('\n').Where(static line => !line.Contains("\"event\":\"progress\"", StringComparison.Ordinal)));

    public bool IsRunning => _process is { HasExited: false };

    /// <summary>What this host is to the region.</summary>
    public RegionRecord Record
    {
        get
        {
            try
            {
                // Its holder may be writing one of its slots.
                for (int tries = 0; tries < 10; tries++)
                {
                    if (RegionRecordFile.TryRead(File.ReadAllBytes(Path.Combine(Store + ".farspan", RegionRecordFile.Name)), out var record))
                        return record;
                }

                throw new InvalidOperationException($"The record of {Name} is damaged.");
            }
            catch (Exception none) when (none is FileNotFoundException or DirectoryNotFoundException)
            {
                return default;
            }
        }
    }

    /// <summary>Whether the program has told of an event since it was started.</summary>
    public bool Said(string happened) => _process?.Output.Contains($"\"event\":\"{happened}\"", StringComparison.Ordinal) ?? false;

    /// <summary>Starts the program.</summary>
    public async Task StartAsync(params string[] arguments)
    {
        if (_process is not null)
        {
            _earlier = _process.Report;
            await _process.DisposeAsync();
        }

        _arguments = arguments;
        Incarnation++;
        _process = PeerProcess.Start(
            RepositoryRoot.Combine("farspan"), arguments, Folder,
            new Dictionary<string, string>(StringComparer.Ordinal) { ["FARSPAN_RUNTIME_DIR"] = Path.Combine(Folder, "run"), ["ROUND_START"] = Incarnation.ToString(CultureInfo.InvariantCulture) });
    }

    /// <summary>Starts it with the same command.</summary>
    public Task StartAgainAsync() => StartAsync(_arguments);

    /// <summary>Kills it, and forgets the hooks that it has begun.</summary>
    public async Task KillAsync()
    {
        Incarnation++;
        await Process.SignalAsync("KILL");
        await Process.WaitForExitAsync(TimeSpan.FromSeconds(60));
    }

    /// <summary>Runs a command of the program to its end.</summary>
    public Task<PeerProcess> RunAsync(params string[] arguments)
        => PeerProcess.RunAsync(
            RepositoryRoot.Combine("farspan"), arguments, TimeSpan.FromSeconds(60), Folder,
            environment: new Dictionary<string, string>(StringComparer.Ordinal) { ["FARSPAN_RUNTIME_DIR"] = Path.Combine(Folder, "run") });

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        await Line.DisposeAsync();
    }

    // Below those that the kernel hands out, so that it is still free after a restart.
    private static int FreePort()
    {
        while (true)
        {
            int port = Random.Shared.Next(20_000, 32_000);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Somebody's.
            }
        }
    }
}
