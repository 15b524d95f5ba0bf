using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Farspan.Transports;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>A running nbd-server with one export, <c>disk</c>. It leaves its starter, and is ended by the pid that it wrote.</summary>
internal sealed class NbdServerPeer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly int _port;

    private NbdServerPeer(int port) => _port = port;

    public NbdClientOptions Options => new() { Endpoint = StreamEndpoint.Tcp("127.0.0.1", _port), ExportName = "disk" };

    public static async Task<NbdServerPeer> StartAsync(long length)
    {
        var peer = new NbdServerPeer(FreePort());
        using (var file = File.Create(peer._directory["disk"]))
            file.SetLength(length);
        await File.WriteAllTextAsync(
            peer._directory["config"],
            $"""
            [generic]
            listenaddr = 127.0.0.1
            port = {peer._port}
            allowlist = true
            [disk]
            exportname = {peer._directory["disk"]}
            flush = true
            fua = true
            trim = true

            """);
        await PeerProcess.RunOkAsync("nbd-server", ["-C", peer._directory["config"], "-p", peer._directory["pid"]]);
        var clock = Stopwatch.StartNew();
        while (!File.Exists(peer._directory["pid"]) || (await File.ReadAllTextAsync(peer._directory["pid"])).Length == 0)
        {
            if (clock.Elapsed > TimeSpan.FromSeconds(30))
                throw new TimeoutException("nbd-server wrote no pid file.");
            await Task.Delay(10);
        }

        return peer;
    }

    public async ValueTask DisposeAsync()
    {
        if (File.Exists(_directory["pid"]))
        {
            try
            {
                using var process = Process.GetProcessById(int.Parse(await File.ReadAllTextAsync(_directory["pid"]), CultureInfo.InvariantCulture));
                process.Kill();
            }
            catch (ArgumentException)
            {
                // It ended by itself.
            }
        }

        _directory.Dispose();
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
