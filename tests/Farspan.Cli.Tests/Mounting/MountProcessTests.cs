using Farspan.Backends;
using Farspan.Cli.Mounting;
using Farspan.Cli.Serving;
using Farspan.Mounts;
using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.Transports;
using Xunit;

namespace Farspan.Cli.Tests.Mounting;

public sealed class MountProcessTests
{
    // Whoever unmounts is told, and what was written before is where it belongs.
    [RequiresTheory("fuse")]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RemoteWhoseCloseFails_UmountIsToldSo_AndNothingIsLost(bool isManaged)
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(1 << 20);
        var backend = Stuck(memory);
        await using var process = await MountProcess.StartAsync(Settings(isManaged) with { Target = directory["f"] }, backend.Registry(), CancellationToken.None);
        var running = process.RunAsync(CancellationToken.None);
        await File.WriteAllBytesAsync(directory["bytes"], [.. Enumerable.Repeat((byte)9, 4096)]);
        await using (var file = new FileStream(directory["f"], FileMode.Open, FileAccess.Write))
            await file.WriteAsync(await File.ReadAllBytesAsync(directory["bytes"]));
        await CheckIsToldAsync(directory["f"], running);
        await CheckIsThereAsync(memory);
    }

    [Fact(Timeout = 60_000)]
    public async Task RemoteOfAMountWithoutAFileWhoseCloseFails_UmountIsToldSo_AndNothingIsLost()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(1 << 20);
        var settings = Settings(isManaged: true) with
        {
            Exports = new ExportSettings { Listen = [ListenUri.Parse($"nbd+unix:///?socket={directory["s"]}")] },
        };
        await using var process = await MountProcess.StartAsync(settings, Stuck(memory).Registry(), CancellationToken.None);
        var running = process.RunAsync(CancellationToken.None);
        await using (var client = await NbdClientBackend.ConnectAsync(new NbdClientOptions { Endpoint = StreamEndpoint.Unix(directory["s"]) }))
            await client.WriteAsync(0, Enumerable.Repeat((byte)9, 4096).ToArray());
        await CheckIsToldAsync($"nbd+unix:///?socket={directory["s"]}", running);
        await CheckIsThereAsync(memory);
    }

    private static TroubledBackend Stuck(MemoryBackend memory)
        => new(memory) { OnDispose = () => throw new BackendException(BackendError.InputOutput, "The tape does not come out.") };

    private static MountSettings Settings(bool isManaged) => new()
    {
        Remote = "troubled:",
        Target = null,
        Managed = isManaged ? new ManagedSettings { Options = new ManagedMountOptions { PushInterval = TimeSpan.FromHours(1) } } : null,
    };

    private static async Task CheckIsToldAsync(string target, Task running)
    {
        var record = MountRecord.Find(RuntimeDirectory.Path, target)!;
        var reply = await ControlServer.AskAsync(record.ControlSocket, new ControlRequest(ControlRequest.Umount), CancellationToken.None);
        Assert.True(reply!.Unmounted);
        Assert.Equal("The tape does not come out.", reply.Error);
        Assert.Equal("The tape does not come out.", (await Assert.ThrowsAsync<BackendException>(() => running)).Message);
    }

    private static async Task CheckIsThereAsync(MemoryBackend memory)
    {
        byte[] stored = new byte[4096];
        await memory.ReadAsync(0, stored);
        Assert.All(stored, value => Assert.Equal(9, value));
    }
}
