using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdClient;

public sealed class OtherServersTests
{
    [RequiresFact("qemu-nbd")]
    public async Task QemuNbd_HoldsTheModel_AndTellsHoles()
    {
        await using var server = await NbdPeer.StartQemuAsync(4 << 20);
        await using var backend = await server.ConnectAsync();
        Assert.NotNull(backend.GetCapability<IConcurrentWriters>());
        await new BackendModelRunner(backend, seed: 8).RunConcurrentAsync(workers: 8, stepsEach: 60);
        await backend.GetCapability<IZero>()!.ZeroAsync(0, backend.Length);
        await backend.WriteAsync(1 << 20, new byte[] { 1 });
        await backend.FlushAsync();
        var extents = await ExtentList.AllAsync(backend.GetCapability<IExtentSource>()!, 0, backend.Length, 100);
        Assert.Contains(extents, e => e.Kind.HasFlag(ExtentKind.Zero));
        Assert.Contains(extents, e => e.Kind == ExtentKind.Data && e.Offset <= 1 << 20 && e.Offset + e.Length > 1 << 20);
    }

    [RequiresFact("qemu-nbd")]
    public async Task QemuNbd_ReadOnly_RefusesWritesHere()
    {
        await using var server = await NbdPeer.StartQemuAsync(1 << 20, "--read-only");
        await using var backend = await server.ConnectAsync();
        Assert.True(backend.IsReadOnly);
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.WriteAsync(0, new byte[1]));
        Assert.Equal(BackendError.ReadOnly, error.Error);
        await backend.FlushAsync();
    }

    [RequiresFact("qemu-nbd")]
    public async Task QemuNbd_UnknownExport_IsNamed()
    {
        await using var server = await NbdPeer.StartQemuAsync(1 << 20, "--export-name=right");
        var error = await Assert.ThrowsAsync<BackendException>(() => NbdClientBackend.ConnectAsync(server.Options with { ExportName = "wrong" }));
        Assert.Equal(BackendError.NotFound, error.Error);
        Assert.Contains("wrong", error.Message, StringComparison.Ordinal);
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with { ExportName = "right" });
        Assert.Equal(["right"], (await Nbd.Client.NbdClient.ListExportsAsync(server.Options)).Select(e => e.Name));
    }

    [RequiresFact("nbd-server")]
    public async Task NbdServer_HoldsTheModel()
    {
        await using var server = await NbdServerPeer.StartAsync(4 << 20);
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options);
        Assert.Equal(4 << 20, backend.Length);
        await new BackendModelRunner(backend, seed: 9).RunConcurrentAsync(workers: 8, stepsEach: 60);
        await backend.FlushAsync();
    }
}
