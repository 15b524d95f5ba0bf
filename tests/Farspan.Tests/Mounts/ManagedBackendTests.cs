using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit.Time;
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
