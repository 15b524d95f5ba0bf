using Farspan.Backends;
using Farspan.Mounts;
using Farspan.TestKit;
using Farspan.TestKit.Crashes;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>A region of 1 TiB with a cache directory.</summary>
public sealed class HugeMountTests : IDisposable
{
    private const long Length = 1L << 40;
    private const int Chunk = 64 << 10;
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = 120_000)]
    public async Task RandomAccess_Eviction_AndBookkeeping_StaySmall()
    {
        await using var remote = new MemoryBackend(Length);
        var kept = new KeptBackend(remote);
        const int Count = 1000;
        const long Limit = 256L * Chunk;
        long before = GC.GetTotalMemory(forceFullCollection: true);
        var mount = await OpenAsync(kept, Limit);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, 0, 128 << 20);
        for (int i = 0; i < Count; i++)
            await mount.WriteAsync(Offset(i), SlotPattern.Bytes(i, 1));
        byte[] bytes = new byte[SlotPattern.SlotLength];
        for (int i = 0; i < Count; i++)
        {
            await mount.ReadAsync(Offset(i), bytes);
            Assert.Equal(SlotPattern.Bytes(i, 1), bytes);
            Assert.InRange(mount.Status.LocalBytes, 0, Limit);
        }

        Assert.True((await mount.CloseAsync()).IsComplete);
        mount = await OpenAsync(kept, Limit);
        Assert.InRange(mount.Status.LocalBytes, Chunk, Limit);
        await mount.ReadAsync(Offset(5), bytes);
        Assert.Equal(SlotPattern.Bytes(5, 1), bytes);
        Assert.True((await mount.CloseAsync()).IsComplete);
    }

    /// <summary>The first thing that mkfs does.</summary>
    [Fact(Timeout = 120_000)]
    public async Task TrimOfEverything_IsOneStep_AndOutlivesARestart()
    {
        await using var remote = new MemoryBackend(Length);
        var kept = new KeptBackend(remote);
        await remote.WriteAsync(Offset(1), SlotPattern.Bytes(1, 1));
        var mount = await OpenAsync(kept, limit: null);
        await mount.WriteAsync(Offset(2), SlotPattern.Bytes(2, 1));
        await mount.TrimAsync(0, Length);
        await mount.WriteAsync(Offset(3), SlotPattern.Bytes(3, 1));
        Assert.True((await mount.CloseAsync()).IsComplete);
        mount = await OpenAsync(kept, limit: null);
        byte[] bytes = new byte[SlotPattern.SlotLength];
        foreach (var (slot, version) in new[] { (1, 0), (2, 0), (3, 1) })
        {
            await remote.ReadAsync(Offset(slot), bytes);
            Assert.Equal(SlotPattern.Bytes(slot, version), bytes);
            await mount.ReadAsync(Offset(slot), bytes);
            Assert.Equal(SlotPattern.Bytes(slot, version), bytes);
        }

        Assert.True((await mount.CloseAsync()).IsComplete);
        Assert.InRange(new FileInfo(Path.Combine(_directory["cache"], "journal")).Length, 1, 1 << 20);
    }

    private static long Offset(int i) => (long)((ulong)i * 0x9E3779B97F4A7C15 >> 24) / 5000 * 5000;

    private ValueTask<ManagedBackend> OpenAsync(IBackend remote, long? limit) => ManagedBackend.OpenAsync(remote, new ManagedMountOptions
    {
        ChunkSize = Chunk,
        CacheDirectory = _directory["cache"],
        RemoteName = "test",
        CacheSizeLimit = limit,
        BackgroundPull = BackgroundPull.Nothing,
    });
}
