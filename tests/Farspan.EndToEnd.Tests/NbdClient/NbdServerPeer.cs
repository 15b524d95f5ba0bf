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

    // Bound and not listening: holds the port, which nbd-server cannot choose by itself, for nobody else to take. Both ends reuse addresses.
    private readonly Socket _reservation = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    private NbdServerPeer() => _reservation.Bind(new IPEndPoint(IPAddress.Loopback, 0));

    public int Port => ((IPEndPoint)_reservation.LocalEndPoint!).Port;

    public NbdClientOptions Options => new() { Endpoint = StreamEndpoint.Tcp("127.0.0.1", Port), ExportName = "disk" };

    public static async Task<NbdServerPeer> StartAsync(long length)
    {
        var peer = new NbdServerPeer();
        try
        {
            await peer.LaunchAsync(length);
            return peer;
        }
        catch
        {
            await peer.DisposeAsync();
            throw;
        }
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

        _reservation.Dispose();
        _directory.Dispose();
    }

    private async Task LaunchAsync(long length)
    {
        using (var file = File.Create(_directory["disk"]))
            file.SetLength(length);
        await File.WriteAllTextAsync(
            _directory["config"],
            $"""
            [generic]
            listenaddr = 127.0.0.1
            port = {Port}
            allowlist = true
            [disk]
            exportname = {_directory["disk"]}
            flush = true
            fua = true
            trim = true

            """);
        await PeerProcess.RunOkAsync("nbd-server", ["-C", _directory["config"], "-p", _directory["pid"]]);

        // It has left for the background before it listens.
        var clock = Stopwatch.StartNew();
        while (!await ListensAsync())
        {
            if (clock.Elapsed > TimeSpan.FromSeconds(90))
                throw new TimeoutException($"nbd-server does not listen on port {Port}.");
            await Task.Delay(10);
        }
    }

    private async Task<bool> ListensAsync()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await probe.ConnectAsync(IPAddress.Loopback, Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
