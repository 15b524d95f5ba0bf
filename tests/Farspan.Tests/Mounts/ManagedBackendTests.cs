using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit.Time;
using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Mounts;

public sealed class ManagedBackendTests
{
    private static readonly BackendError[] Lasting = [BackendError.TimedOut, BackendError.Disconnected];

    [Fact]
    public void Close_InAnOutage_EndsInTime_AndSaysWhatIsLeft()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(1 << 20));
            var mount = await ManagedBackend.OpenAsync(
                faults, new ManagedMountOptions { Clock = clock, CloseTimeout = TimeSpan.FromSeconds(7), BackgroundPull = BackgroundPull.Nothing });
            await mount.FlushAsync();
            faults.Inject(new FaultRule { Error = BackendError.Disconnected, Count = int.MaxValue });
            await mount.WriteAsync(5, new byte[100]);
            var begun = clock.Now;
            var report = await mount.CloseAsync();
            Assert.Equal((100, false), (report.UnpushedBytes, report.IsComplete));
            Assert.IsType<BackendException>(report.Error);
            Assert.InRange((clock.Now - begun).TotalSeconds, 7, 13);
            Assert.Equal(MountState.Faulted, mount.State);
        });

    [Fact]
    public void Close_OverASlowLine_GoesOnWhileItAdvances()
        => VirtualTime.Run(async clock =>
        {
            var line = new LinkModel(new LinkOptions { RoundTripTime = TimeSpan.FromMilliseconds(50), UpRate = 800_000, DownRate = 800_000 }, clock);
            var mount = await ManagedBackend.OpenAsync(
                new SimulatedLinkStage(new MemoryBackend(64 << 20), line),
                new ManagedMountOptions { Clock = clock, CloseTimeout = TimeSpan.FromSeconds(10), BackgroundPull = BackgroundPull.Nothing });
            for (int i = 0; i < 32; i++)
                await mount.WriteAsync(i << 20, new byte[1 << 20]);
            var begun = clock.Now;
            Assert.Equal(new MountCloseReport(0, null, null), await mount.CloseAsync());
            Assert.InRange((clock.Now - begun).TotalSeconds, 335, 400);
        });

    [Fact]
    public void Close_WhoseFlushesFail_IsNoAdvance_HoweverOftenItIsPushedAnew()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(1 << 20));
            var mount = await ManagedBackend.OpenAsync(
                faults, new ManagedMountOptions { Clock = clock, CloseTimeout = TimeSpan.FromSeconds(30), BackgroundPull = BackgroundPull.Nothing });
            await mount.FlushAsync();
            faults.Inject(new FaultRule { Operations = BackendOperation.Flush, Error = BackendError.Disconnected, Count = int.MaxValue });
            await mount.WriteAsync(5, new byte[100]);
            var begun = clock.Now;
            Assert.Equal(100, (await mount.CloseAsync()).UnpushedBytes);
            Assert.InRange((clock.Now - begun).TotalSeconds, 30, 40);
        });

    [Fact]
    public void Extents_OfARemoteThatDoesNotAnswer_AreDataAfterTheTimeout_AndCountAsAnOutage()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(1 << 20));
            await using var mount = await ManagedBackend.OpenAsync(
                faults, new ManagedMountOptions { Clock = clock, RequestTimeout = TimeSpan.FromSeconds(7), BackgroundPull = BackgroundPull.Nothing });
            await mount.FlushAsync();
            using var stall = faults.Inject(new FaultRule { Operations = BackendOperation.ListExtents, Kind = FaultKind.Stall, Count = 1 });
            var extents = new List<Extent>();
            var begun = clock.Now;
            await mount.ListExtentsAsync(0, 1 << 20, 10, extents);
            Assert.Equal([new Extent(0, 1 << 20, ExtentKind.Data)], extents);
            Assert.Equal(7, (clock.Now - begun).TotalSeconds);
            Assert.NotNull(mount.Status.Outage);
        });

    [Fact]
    public void Read_InAnOutage_FailsAfterTheTimeout_WhileLocalBytesAreServed_AndGoesOnAfterwards()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(1 << 20));
            await using var mount = await ManagedBackend.OpenAsync(
                faults, new ManagedMountOptions { Clock = clock, OutageTimeout = TimeSpan.FromSeconds(4), BackgroundPull = BackgroundPull.Nothing });
            await mount.FlushAsync();
            byte[] buffer = new byte[100];
            var fault = faults.Inject(new FaultRule { Error = BackendError.Disconnected, Count = int.MaxValue });
            await mount.WriteAsync(0, buffer);
            var begun = clock.Now;
            var failure = await Assert.ThrowsAsync<BackendException>(async () => await mount.ReadAsync(500_000, buffer));
            Assert.Contains(failure.Error, Lasting);
            Assert.InRange((clock.Now - begun).TotalSeconds, 4, 5);
            Assert.NotNull(mount.Status.Outage);
            await mount.ReadAsync(0, buffer);
            fault.Dispose();
            await mount.ReadAsync(500_000, buffer);
            Assert.Null(mount.Status.Outage);
        });

    [Fact]
    public void BadChunk_FailsItsReader_AndKeepsNoNeighbourFromComing()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(1 << 20));
            await using var mount = await ManagedBackend.OpenAsync(faults, new ManagedMountOptions { Clock = clock, ChunkSize = 4096 });
            faults.Inject(new FaultRule { Operations = BackendOperation.Read, Where = (_, offset, length) => offset < 45_056 && offset + length > 40_960, Count = int.MaxValue, IsTransient = false });
            await Task.Delay(TimeSpan.FromSeconds(100), clock);
            Assert.Equal((1 << 20) - 4096, mount.Status.LocalBytes);
            var failure = await Assert.ThrowsAsync<BackendException>(async () => await mount.ReadAsync(40_000, new byte[2000]));
            Assert.Equal(BackendError.InputOutput, failure.Error);
        });

    [Fact]
    public async Task Terabyte_IsTrimmedInOneStep_WithinTheMemoryForIt()
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        var remote = new MemoryBackend(1L << 40);
        await using var mount = await ManagedBackend.OpenAsync(remote, new ManagedMountOptions { BackgroundPull = BackgroundPull.Nothing });
        await mount.WriteAsync(1L << 39, new byte[100]);
        await mount.TrimAsync(0, 1L << 40);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 << 20);
        Assert.Equal(1L << 40, mount.Status.LocalBytes);
        await mount.WriteAsync(77, new byte[] { 1 });
        await mount.FlushAsync();
        byte[] buffer = new byte[3];
        await remote.ReadAsync(76, buffer);
        Assert.Equal([0, 1, 0], buffer);
        Assert.Equal((0, 0), (mount.Status.DirtyBytes, mount.Status.DirtyZeroBytes));
    }
}
