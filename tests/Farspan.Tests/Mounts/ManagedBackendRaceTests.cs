using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>Pulls and pushes of one place that meet each other, one order at a time.</summary>
public sealed class ManagedBackendRaceTests : IDisposable
{
    private const int Chunk = 4096;
    private readonly KeptBackend _store = new(new MemoryBackend(8 * Chunk));
    private readonly FaultInjectionStage _line;

    public ManagedBackendRaceTests() => _line = new FaultInjectionStage(_store);

    [Fact]
    public void BytesOverZeroesThatAreOnTheirWay_WaitForThem()
        => VirtualTime.Run(async clock =>
        {
            await using var mount = await OpenAsync(clock);
            await mount.WriteAsync(0, Filled(1));
            await mount.FlushAsync();
            var stalled = _line.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Zero });
            await mount.ZeroAsync(0, 2 * Chunk);
            var zeroing = mount.FlushAsync().AsTask();
            await stalled.WaitForHitsAsync(1);
            await mount.WriteAsync(10, new byte[] { 7 });
            var writing = mount.FlushAsync().AsTask();
            await Task.Delay(TimeSpan.FromSeconds(10), clock);
            Assert.Equal([1, 1], await StoredAsync(10, 2));
            stalled.Dispose();
            await zeroing;
            await writing;
            Assert.Equal([7, 0], await StoredAsync(10, 2));
        });

    [Fact]
    public void ZeroesOverBytesThatAreOnTheirWay_WaitForThem()
        => VirtualTime.Run(async clock =>
        {
            await using var mount = await OpenAsync(clock);
            await mount.WriteAsync(0, Filled(1));
            await mount.FlushAsync();
            var stalled = _line.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Write });
            await mount.WriteAsync(10, new byte[] { 7 });
            var writing = mount.FlushAsync().AsTask();
            await stalled.WaitForHitsAsync(1);
            await mount.ZeroAsync(0, 2 * Chunk);
            var zeroing = mount.FlushAsync().AsTask();
            await Task.Delay(TimeSpan.FromSeconds(10), clock);
            Assert.Equal([1, 1], await StoredAsync(10, 2));
            stalled.Dispose();
            await writing;
            await zeroing;
            Assert.Equal([0, 0], await StoredAsync(10, 2));
        });

    [Fact]
    public void PartThatIsClean_IsGivenUp_SinceNoCacheKnowsWhatItIsWorth()
        => VirtualTime.Run(async clock =>
        {
            await using var mount = await OpenAsync(clock);
            await mount.WriteAsync(10, new byte[] { 7 });
            Assert.True(IsLocal(mount));
            await mount.FlushAsync();
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            Assert.False(IsLocal(mount));
        });

    [Fact]
    public void PartThatIsClean_StaysWhileTheRestIsOnItsWay_WhichMayBeOlder()
        => VirtualTime.Run(async clock =>
        {
            await using var mount = await OpenAsync(clock);
            var stalled = _line.Inject(new FaultRule { Kind = FaultKind.StalledReply, Operations = BackendOperation.Read });
            byte[] bytes = new byte[20];
            var reading = mount.ReadAsync(0, bytes).AsTask();
            await stalled.WaitForHitsAsync(1);
            await mount.WriteAsync(10, new byte[] { 7 });
            await mount.FlushAsync();
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            stalled.Dispose();
            await reading;
            await mount.ReadAsync(0, bytes);
            Assert.Equal(7, bytes[10]);
        });

    [Fact]
    public void PartThatIsClean_IsGivenUpWhenTheRestDoesNotCome()
        => VirtualTime.Run(async clock =>
        {
            await using var mount = await OpenAsync(clock);
            var stalled = _line.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Read });
            var reading = mount.ReadAsync(0, new byte[20]).AsTask();
            await stalled.WaitForHitsAsync(1);
            await mount.WriteAsync(10, new byte[] { 7 });
            await mount.FlushAsync();
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            Assert.True(IsLocal(mount));
            await Assert.ThrowsAsync<BackendException>(() => reading);
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            Assert.False(IsLocal(mount));
            stalled.Dispose();
        });

    public void Dispose() => _line.DisposeAsync().AsTask().GetAwaiter().GetResult();

    private static byte[] Filled(byte value)
    {
        byte[] bytes = new byte[2 * Chunk];
        bytes.AsSpan().Fill(value);
        return bytes;
    }

    private static bool IsLocal(ManagedBackend mount) => Assert.Single(mount.ListLocal(10, 1, 2)).IsSet;

    private async Task<ManagedBackend> OpenAsync(VirtualTimeProvider clock)
    {
        var mount = await ManagedBackend.OpenAsync(_line, new ManagedMountOptions
        {
            Clock = clock,
            ChunkSize = Chunk,
            BackgroundPull = BackgroundPull.Nothing,
            PushInterval = TimeSpan.FromHours(1),
            OnOutage = OutageBehavior.FailFast,
            RequestTimeout = TimeSpan.FromSeconds(20),
        });
        await mount.FlushAsync();
        return mount;
    }

    private async Task<byte[]> StoredAsync(long offset, int length)
    {
        byte[] bytes = new byte[length];
        await _store.ReadAsync(offset, bytes);
        return bytes;
    }
}
