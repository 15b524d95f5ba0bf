using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit;
using Farspan.TestKit.Crashes;
using Farspan.TestKit.Time;
using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>What users of other tools complain about, one test each.</summary>
public sealed class ManagedMountComplaintTests : IDisposable
{
    private const int Chunk = 16 << 10;
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>Blocks that two writers share are read, changed and written back without a lock, and one change is lost.</summary>
    [Fact(Timeout = 120_000)]
    public async Task SilentCorruption_UnalignedWritersOfSharedChunks_WithRestarts_KeepEverySignature()
    {
        var remote = new KeptBackend(new MemoryBackend(SlotPattern.Length));
        int[] versions = new int[SlotPattern.SlotCount];
        for (int life = 0; life < 4; life++)
        {
            var mount = await OpenAsync(remote, new ManagedMountOptions { CacheSizeLimit = 16 * Chunk, PushInterval = TimeSpan.FromMilliseconds(10) });
            int version = 1 + (life * 1000);
            await Task.WhenAll(Enumerable.Range(0, 8).Select(writer => Task.Run(async () =>
            {
                for (int slot = writer; slot < SlotPattern.SlotCount; slot += 8)
                {
                    if ((slot + life) % 3 == 0)
                        continue;
                    await mount.WriteAsync((long)slot * SlotPattern.SlotLength, SlotPattern.Bytes(slot, version));
                    versions[slot] = version;
                }
            })));
            for (int slot = 0; slot < SlotPattern.SlotCount; slot++)
                await AssertSlotAsync(mount, slot, versions[slot]);
            Assert.True((await mount.CloseAsync()).IsComplete);
            for (int slot = 0; slot < SlotPattern.SlotCount; slot++)
                await AssertSlotAsync(remote, slot, versions[slot]);
        }
    }

    /// <summary>The remote is away, the daemon is restarted, and what only it had is gone.</summary>
    [Fact(Timeout = 120_000)]
    public async Task DaemonRestartInAnOutage_KeepsWhatIsDirty_AndTheNextMountPushesIt()
    {
        var store = new KeptBackend(new MemoryBackend(1 << 20));
        var faults = new FaultInjectionStage(store);
        var mount = await OpenAsync(faults, new ManagedMountOptions { CloseTimeout = TimeSpan.FromMilliseconds(50), Flush = FlushMode.Local });
        faults.Inject(new FaultRule { Error = BackendError.Disconnected });
        await mount.WriteAsync(5, SlotPattern.Bytes(1, 1));
        await mount.FlushAsync();
        var report = await mount.CloseAsync();
        Assert.Equal((SlotPattern.SlotLength, _directory["cache"]), (report.UnpushedBytes, report.KeptIn));
        mount = await OpenAsync(store);
        Assert.Equal(SlotPattern.SlotLength, mount.Status.DirtyBytes);
        Assert.True((await mount.CloseAsync()).IsComplete);
        byte[] there = new byte[SlotPattern.SlotLength];
        await store.ReadAsync(5, there);
        Assert.Equal(SlotPattern.Bytes(1, 1), there);
    }

    /// <summary>Two daemons use one cache directory and each undoes what the other noted.</summary>
    [Fact(Timeout = 120_000)]
    public async Task DoubleMountOfOneCache_IsRefused()
    {
        var store = new KeptBackend(new MemoryBackend(1 << 20));
        await using var mount = await OpenAsync(store);
        var refused = await Assert.ThrowsAsync<BackendException>(async () => await OpenAsync(store));
        Assert.Equal(BackendError.Leased, refused.Error);
        Assert.Contains(_directory["cache"], refused.Message, StringComparison.Ordinal);
    }

    /// <summary>Two machines mount one bucket for writing, and neither notices.</summary>
    [Fact(Timeout = 120_000)]
    public async Task TwoWriters_WithALease_TheSecondIsRefusedAndToldWhoHoldsIt()
    {
        var remote = new LeasingRemote(1 << 20);
        await using (var mount = await ManagedBackend.OpenAsync(remote, new ManagedMountOptions { LeaseHolder = "the first" }))
        {
            await mount.WriteAsync(1, new byte[10]);
            await mount.FlushAsync();
            var refused = await Assert.ThrowsAsync<BackendException>(async () => await ManagedBackend.OpenAsync(remote));
            Assert.Equal(BackendError.Leased, refused.Error);
            Assert.Contains("the first", refused.Message, StringComparison.Ordinal);
        }

        await using var next = await ManagedBackend.OpenAsync(remote);
        Assert.Equal(2, next.Status.LeaseEpoch);
    }

    [Fact(Timeout = 120_000)]
    public async Task TwoWriters_WithoutALease_AreRefusedWhereOneIsRequired()
    {
        var refused = await Assert.ThrowsAsync<BackendException>(
            async () => await ManagedBackend.OpenAsync(new MemoryBackend(1 << 20), new ManagedMountOptions { Lease = LeaseUse.Required }));
        Assert.Equal(BackendError.NotSupported, refused.Error);
    }

    /// <summary>While much is uploaded nothing can be read.</summary>
    [Theory]
    [InlineData(20, 8_000_000, 0.5)]
    [InlineData(100, 8_000_000, 0.75)]
    [InlineData(20, 80_000_000, 0.12)]
    public void ReadsBehindALongPush_DoNotStarve(int roundTrip, long rate, double longest)
        => VirtualTime.Run(async clock =>
        {
            var line = new LinkModel(new LinkOptions { RoundTripTime = TimeSpan.FromMilliseconds(roundTrip), UpRate = rate, DownRate = rate }, clock);
            await using var mount = await ManagedBackend.OpenAsync(
                new SimulatedLinkStage(new MemoryBackend(512 << 20), line), new ManagedMountOptions { Clock = clock, BackgroundPull = BackgroundPull.Nothing });
            byte[] bytes = new byte[1 << 20];
            for (int i = 0; i < 120; i++)
                await mount.WriteAsync((long)i << 20, bytes);
            var begun = clock.Now;
            double push = (120 << 20) * 8.0 / rate;
            var flush = mount.FlushAsync().AsTask();
            var waits = new List<double>();
            for (int i = 0; i < 60; i++)
            {
                await Task.Delay(TimeSpan.FromSeconds(push / 120), clock);
                var asked = clock.Now;
                await mount.ReadAsync((128L << 20) + (i << 20), bytes.AsMemory(0, 4096));
                waits.Add((clock.Now - asked).TotalSeconds);
            }

            // Behind all that is pushed, a read would wait for the rest of it. While one waits, pushes leave it half of the line.
            Assert.False(flush.IsCompleted);
            Assert.True(waits.Max() < longest, string.Join(' ', waits));
            await flush;
            Assert.InRange((clock.Now - begun).TotalSeconds, push, push * 1.5);
        });

    /// <summary>The endpoint is not connected any more, and only a new mount helps.</summary>
    [Fact]
    public void OutageOfAnHour_KillsNothing_AndAllIsPushedAfterwards()
        => VirtualTime.Run(async clock =>
        {
            var store = new MemoryBackend(1 << 20);
            var faults = new FaultInjectionStage(store);
            var mount = await ManagedBackend.OpenAsync(faults, new ManagedMountOptions { Clock = clock });
            byte[] bytes = SlotPattern.Bytes(3, 3);
            await mount.ReadAsync(0, new byte[1 << 20]);
            var outage = faults.Inject(new FaultRule { Error = BackendError.Disconnected });
            for (int minute = 0; minute < 60; minute++)
            {
                await mount.WriteAsync(minute * 5000, bytes);
                await Task.Delay(TimeSpan.FromMinutes(1), clock);
            }

            await Assert.ThrowsAsync<BackendException>(async () => await mount.FlushAsync());
            Assert.NotNull(mount.Status.Outage);
            outage.Dispose();
            await mount.FlushAsync();
            Assert.Equal(0, mount.Status.DirtyBytes);
            byte[] there = new byte[bytes.Length];
            for (int minute = 0; minute < 60; minute++)
            {
                await store.ReadAsync(minute * 5000, there);
                Assert.Equal(bytes, there);
            }

            Assert.True((await mount.CloseAsync()).IsComplete);
        });

    /// <summary>Prefetching takes all the memory there is.</summary>
    [Theory]
    [InlineData(1 << 20)]
    [InlineData(8 << 20)]
    public void Prefetch_StaysWithinTheMemoryBudget(int budget)
        => VirtualTime.Run(async clock =>
        {
            var remote = new CountingRemote(64 << 20, clock);
            await using var mount = await ManagedBackend.OpenAsync(remote, new ManagedMountOptions { Clock = clock, MemoryBudget = budget, CacheSizeLimit = 4 << 20 });
            byte[] bytes = new byte[1 << 20];
            for (int i = 0; i < 64; i++)
            {
                await mount.ReadAsync((long)i << 20, bytes);
                await mount.WriteAsync((long)i << 20, bytes.AsMemory(0, 1000));
            }

            await mount.FlushAsync();
            Assert.InRange(remote.Most, 1, budget);
        });

    /// <summary>A full cache throws away what was not uploaded.</summary>
    [Fact]
    public void DirtyBytes_OutliveEvictionPressure_WhileTheRemoteTakesNone()
        => VirtualTime.Run(async clock =>
        {
            var store = new MemoryBackend(4 << 20);
            var faults = new FaultInjectionStage(store);
            var mount = await ManagedBackend.OpenAsync(faults, new ManagedMountOptions { Clock = clock, ChunkSize = Chunk, CacheSizeLimit = 16 * Chunk });
            await mount.FlushAsync();
            var refusal = faults.Inject(new FaultRule { Operations = BackendOperation.Write, Error = BackendError.TimedOut });
            for (int i = 0; i < 6; i++)
                await mount.WriteAsync((i * 7 * Chunk) + 99, SlotPattern.Bytes(i, 5));
            byte[] bytes = new byte[Chunk];
            for (int round = 0; round < 3; round++)
            {
                for (long at = 0; at < mount.Length; at += Chunk)
                    await mount.ReadAsync(at, bytes);
            }

            byte[] here = new byte[SlotPattern.SlotLength];
            for (int i = 0; i < 6; i++)
            {
                await mount.ReadAsync((i * 7 * Chunk) + 99, here);
                Assert.Equal(SlotPattern.Bytes(i, 5), here);
            }

            Assert.InRange(mount.Status.LocalBytes, 0, 16 * Chunk);
            refusal.Dispose();
            Assert.True((await mount.CloseAsync()).IsComplete);
        });

    private static async Task AssertSlotAsync(IBackend backend, int slot, int version)
    {
        byte[] bytes = new byte[SlotPattern.SlotLength];
        await backend.ReadAsync((long)slot * SlotPattern.SlotLength, bytes);
        Assert.True(bytes.AsSpan().SequenceEqual(SlotPattern.Bytes(slot, version)), $"Slot {slot} is not of version {version}.");
    }

    private ValueTask<ManagedBackend> OpenAsync(IBackend remote, ManagedMountOptions? options = null)
        => ManagedBackend.OpenAsync(remote, (options ?? new()) with { ChunkSize = Chunk, CacheDirectory = _directory["cache"], RemoteName = "test" });
}
