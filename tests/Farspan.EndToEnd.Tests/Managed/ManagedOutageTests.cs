using Farspan.Backends;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.Linux.Files;
using Farspan.Mounts;
using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.TestKit.Crashes;
using Farspan.Transports;
using Farspan.Wire.Client;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>
/// Servers that are killed, and lines that are cut and slowed, under a managed mount with a small cache and four writers: the writers see no
/// more than a pause, and at last the server has every signature.
/// </summary>
public sealed class ManagedOutageTests : IDisposable
{
    private static readonly int Rounds = LongRun.IsAskedFor ? 300 : 5;
    private readonly TemporaryDirectory _directory = new();
    private readonly int[] _versions = new int[SlotPattern.SlotCount];
    private int _written;

    public void Dispose() => _directory.Dispose();

    [RequiresFact("nbdkit", Timeout = 3_600_000)]
    public async Task NbdkitKilledAndRestarted_LosesNothing()
    {
        await using var server = await NbdPeer.StartFileAsync(SlotPattern.Length);
        await RunAsync(server.Options, server.Disk, async _ => await server.RestartAsync());
    }

    [Fact(Timeout = 3_600_000)]
    public async Task FarspanServeKilledAndRestarted_LosesNothing()
    {
        await using var server = await ServedExport.StartAsync("unix", $"file:disk?size={SlotPattern.Length}&lock=off");
        await RunAsync(new NbdClientOptions { Endpoint = StreamEndpoint.Unix(server["s"]) }, server["disk"], async _ =>
        {
            await server.KillAsync();
            await server.RestartAsync();
        });
    }

    [RequiresFact("qemu-nbd", Timeout = 3_600_000)]
    public async Task LineCutSlowedAndRestored_LosesNothing()
    {
        // Not nbdkit: 1.32 ends with an assertion when connections break under it.
        await using var server = await NbdPeer.StartQemuAsync(SlotPattern.Length);
        await using var line = new CuttableLine(_directory["line"], server.Socket);
        await RunAsync(new NbdClientOptions { Endpoint = StreamEndpoint.Unix(_directory["line"]) }, server.Disk, round => TroubleAsync(line, round));
        Assert.True(line.Connections > Rounds);
    }

    [Fact]
    public async Task OwnWire_LineCutSlowedAndRestored_LosesNothing()
    {
        await using var server = await new FarspanProcess(_directory).ServeAsync(OwnWire);
        await using var line = new CuttableLine(_directory["line"], _directory["s"]);
        await RunAsync(await ConnectOwnWireAsync(_directory["line"]), _directory["disk"], round => TroubleAsync(line, round));
        Assert.True(line.Connections > Rounds);
    }

    [Fact]
    public async Task OwnWire_ServerKilledAndRestarted_LosesNothing()
    {
        var farspan = new FarspanProcess(_directory);
        var server = await farspan.ServeAsync(OwnWire);
        await RunAsync(await ConnectOwnWireAsync(_directory["s"]), _directory["disk"], async _ =>
        {
            await server.SignalAsync("KILL");
            await server.WaitForExitAsync(TimeSpan.FromSeconds(60));
            await server.DisposeAsync();
            server = await farspan.ServeAsync(OwnWire);
        });
        await server.DisposeAsync();
    }

    private static string[] OwnWire => [$"file:disk?size={SlotPattern.Length}&lock=off", "--listen", "farspan+unix:///?socket=s"];

    private static async Task<IBackend> ConnectOwnWireAsync(string path)
        => await FarspanClientBackend.ConnectAsync(new FarspanClientOptions
        {
            Endpoint = StreamEndpoint.Unix(path), MaximumReconnectDelay = TimeSpan.FromMilliseconds(50), ReconnectTimeout = TimeSpan.FromMinutes(2),
        });

    private static async Task TroubleAsync(CuttableLine line, int round)
    {
        line.Delay = TimeSpan.FromMilliseconds(round % 2 * 2);
        int before = line.Connections;
        line.Cut();

        // It stays cut while the writers go on as far as the cache lets them.
        await Task.Delay(TimeSpan.FromMilliseconds(20 * (round % 3)));
        line.Restore();
        while (line.Connections == before)
            await Task.Delay(5);
    }

    private async Task RunAsync(NbdClientOptions connection, string disk, Func<int, Task> trouble)
        => await RunAsync(await NbdClientBackend.ConnectAsync(connection with { MaximumReconnectDelay = TimeSpan.FromMilliseconds(50) }), disk, trouble);

    private async Task RunAsync(IBackend remote, string disk, Func<int, Task> trouble)
    {
        var mount = await ManagedBackend.OpenAsync(
            remote,
            new ManagedMountOptions
            {
                ChunkSize = 16 << 10,
                CacheDirectory = _directory["cache"],
                RemoteName = "test",
                CacheSizeLimit = 32 * (16 << 10),
                PushInterval = TimeSpan.FromMilliseconds(20),
                OutageTimeout = TimeSpan.FromMinutes(2),
                OpenCacheFile = path => LinuxFileBackend.Open(path),
                SyncDirectory = DirectorySync.Sync,
            });
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, SlotPattern.WriterCount).Select(writer => Task.Run(() => WriteAsync(mount, writer, stop.Token))).ToArray();
        for (int round = 0; round < Rounds; round++)
        {
            int before = Volatile.Read(ref _written);
            while (Volatile.Read(ref _written) < before + 60 && !writers.Any(writer => writer.IsCompleted))
                await Task.Delay(5);
            await trouble(round);
        }

        await stop.CancelAsync();
        await Task.WhenAll(writers);
        byte[] found = new byte[SlotPattern.Length];
        await mount.ReadAsync(0, found);
        var report = await mount.CloseAsync();
        Assert.Equal((0, null), (report.UnpushedBytes, report.Error));
        Assert.Equal(found, await File.ReadAllBytesAsync(disk));
        for (int slot = 0; slot < SlotPattern.SlotCount; slot++)
            Assert.Equal(SlotPattern.Bytes(slot, _versions[slot]), found.AsSpan(slot * SlotPattern.SlotLength, SlotPattern.SlotLength).ToArray());
    }

    private async Task WriteAsync(ManagedBackend mount, int writer, CancellationToken stop)
    {
        var random = new Random(writer);
        byte[] back = new byte[SlotPattern.SlotLength];
        for (int version = 1; !stop.IsCancellationRequested; version++)
        {
            int slot = (random.Next(SlotPattern.SlotCount / SlotPattern.WriterCount) * SlotPattern.WriterCount) + writer;
            long offset = (long)slot * SlotPattern.SlotLength;
            await mount.WriteAsync(offset, SlotPattern.Bytes(slot, version), CancellationToken.None);
            _versions[slot] = version;
            Interlocked.Increment(ref _written);
            int other = (random.Next(SlotPattern.SlotCount / SlotPattern.WriterCount) * SlotPattern.WriterCount) + writer;
            await mount.ReadAsync((long)other * SlotPattern.SlotLength, back, CancellationToken.None);
            Assert.Equal(SlotPattern.Bytes(other, _versions[other]), back);
            if (version % 10 == 0)
                await mount.FlushAsync(CancellationToken.None);
        }
    }
}
