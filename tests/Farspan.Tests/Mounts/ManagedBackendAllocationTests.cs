using System.Diagnostics;
using Farspan.Backends;
using Farspan.Mounts;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>A read of local bytes and a write to a local chunk allocate nothing: measured on the calling thread, after a first round.</summary>
public sealed class ManagedBackendAllocationTests
{
    private const int Length = 1 << 20;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task LocalBytes_AreReadAndWritten_WithoutAllocating(bool isCacheLimited)
    {
        var options = new ManagedMountOptions
        {
            CacheSizeLimit = isCacheLimited ? 16 * 4096 : null,
            ChunkSize = 4096,
            BackgroundPull = BackgroundPull.Nothing,
            PushInterval = TimeSpan.FromHours(1),
        };
        await using var mount = await ManagedBackend.OpenAsync(new MemoryBackend(Length), options);
        byte[] buffer = new byte[6000];
        await mount.WriteAsync(4096, new byte[4 * 4096]);
        AssertNoAllocation(() => Complete(mount.ReadAsync(5000, buffer)));
        AssertNoAllocation(() => Complete(mount.WriteAsync(5000, buffer)));

        // In a part of a chunk that is not here, and in zeroes.
        await mount.WriteAsync(40_960, buffer.AsMemory(0, 100));
        AssertNoAllocation(() => Complete(mount.WriteAsync(40_970, buffer.AsMemory(0, 80))));
        AssertNoAllocation(() => Complete(mount.ReadAsync(40_970, buffer.AsMemory(0, 80))));
        await mount.ZeroAsync(65_536, 16_384);
        AssertNoAllocation(() => Complete(mount.ReadAsync(66_000, buffer)));
    }

    /// <summary>What the cache itself does; its data file is in memory, since how a file is read is the file's affair.</summary>
    [Fact]
    public async Task LocalBytes_OfACacheDirectory_AreReadAndWritten_WithoutAllocating()
    {
        using var directory = new TemporaryDirectory();
        var options = new ManagedMountOptions
        {
            CacheDirectory = directory["cache"],
            OpenCacheFile = static _ => new MemoryBackend(Length),
            RemoteName = "test",
            ChunkSize = 4096,
            Flush = FlushMode.Local,
            BackgroundPull = BackgroundPull.Nothing,
            PushInterval = TimeSpan.FromHours(1),
        };
        await using var mount = await ManagedBackend.OpenAsync(new MemoryBackend(Length), options);
        byte[] buffer = new byte[6000];
        await mount.WriteAsync(4096, new byte[4 * 4096]);
        await mount.WriteAsync(40_960, buffer.AsMemory(0, 100));
        await mount.FlushAsync();
        AssertNoAllocation(() => Complete(mount.ReadAsync(5000, buffer)));
        AssertNoAllocation(() => Complete(mount.WriteAsync(5000, buffer)));
        AssertNoAllocation(() => Complete(mount.WriteAsync(40_970, buffer.AsMemory(0, 80))));
        AssertNoAllocation(() => Complete(mount.ReadAsync(40_970, buffer.AsMemory(0, 80))));
    }

    private static void AssertNoAllocation(Action body)
    {
        // Code that is not optimised yet boxes here and there, also in the runtime's own methods: the steady state is what counts.
        var patience = Stopwatch.StartNew();
        long allocated;
        do
        {
            Thread.Sleep(20);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 100; i++)
                body();
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }
        while (allocated != 0 && patience.Elapsed < TimeSpan.FromSeconds(20));
        Assert.Equal(0, allocated);
    }

    private static void Complete(ValueTask call)
    {
        Assert.True(call.IsCompletedSuccessfully);
        call.GetAwaiter().GetResult();
    }
}
