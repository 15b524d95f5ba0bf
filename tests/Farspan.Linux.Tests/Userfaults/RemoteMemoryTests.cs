using System.Globalization;
using Farspan.Backends;
using Farspan.Linux.Userfaults;
using Farspan.Mounts;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

public sealed class RemoteMemoryTests
{
    [RequiresFact("userfault")]
    public async Task Flushed_IsAtTheRemote_AndClosedIsUsedNoMore()
    {
        using var directory = new TemporaryDirectory();
        string uri = $"file:{directory["disk"]}?size=1MiB";
        var region = await RemoteMemory.MapAsync(uri);
        region.CopyFrom(5000, "far away"u8);
        await region.FlushAsync();
        Assert.Equal(0, region.Status.UnsavedBytes);
        Assert.Equal("far away", (await PeerProcess.RunOkAsync("tail", ["-c", "+5001", directory["disk"]]))[..8]);
        using (var view = await region.AcquireAsync(5000, 8))
            "and back"u8.CopyTo(view.Span);
        Assert.True(region.Status.UnsavedBytes > 0);
        Assert.True((await region.CloseAsync()).IsComplete);
        Assert.Equal("and back"u8.ToArray(), (await File.ReadAllBytesAsync(directory["disk"]))[5000..5008]);
        Assert.Throws<ObjectDisposedException>(() => region.CopyTo(0, new byte[1]));
        await region.DisposeAsync();
    }

    [RequiresFact("userfault")]
    public async Task Close_WaitsForViews()
    {
        await using var store = new MemoryBackend(1 << 20);
        var region = RemoteMemory.Map(store);
        var view = await region.AcquireAsync(0, 100);
        var closing = region.CloseAsync();
        view.Span[7] = 7;
        Assert.False(closing.IsCompleted);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => region.AcquireAsync(0, 1).AsTask());
        view.Dispose();
        Assert.True((await closing).IsComplete);
        byte[] found = new byte[8];
        await store.ReadAsync(0, found);
        Assert.Equal(7, found[7]);
    }

    [RequiresFact("userfault")]
    public async Task ReadOnlyRegion_IsRead_AndRefusesWrites()
    {
        await using var store = new MemoryBackend(5000);
        await store.WriteAsync(4999, new byte[] { 9 });
        await using var region = RemoteMemory.Map(store, new RemoteMemoryOptions { ReadOnly = true });
        using var view = await region.AcquireAsync(4999, 1);
        Assert.Equal(9, view.ReadOnlySpan[0]);
        Assert.Throws<InvalidOperationException>(() => view.Span[0] = 1);
        Assert.Throws<BackendException>(() => region.CopyFrom(0, [1]));
    }

    [RequiresFact("userfault")]
    public async Task FailingRemote_IsAnException_AndWhatCannotBeSavedIsReported()
    {
        var faulty = new FaultyBackend(new MemoryBackend(1 << 20), isLate: true);
        var region = RemoteMemory.Map(faulty);
        faulty.Fail(FaultKind.Read);
        Assert.Throws<BackendException>(() => region.CopyTo(0, new byte[10]));
        faulty.Heal();
        region.CopyFrom(0, [1, 2, 3]);
        faulty.Fail(FaultKind.Write);
        await Assert.ThrowsAsync<BackendException>(() => region.FlushAsync());
        var report = await region.CloseAsync();
        Assert.False(report.IsComplete);
        Assert.True(report.UnsavedBytes > 0);
        await faulty.DisposeAsync();
    }

    [RequiresFact("userfault")]
    public async Task HugeRegion_OpensAtOnce_AndUsesWhatItTouches()
    {
        await using var store = new MemoryBackend(1L << 40);
        await using var region = RemoteMemory.Map(store);
        region.CopyFrom((1L << 40) - 1, [9]);
        await region.FlushAsync();
        byte[] found = new byte[1];
        await store.ReadAsync((1L << 40) - 1, found);
        Assert.Equal(9, found[0]);
        Assert.Equal(64 << 10, region.Status.ResidentBytes);
    }

    [RequiresFact("userfault")]
    public async Task ParallelUse_WithEvictionsSavesAndFlushes_LosesNothing()
    {
        const int page = 4096;
        var faulty = new FaultyBackend(new MemoryBackend(4 << 20), isLate: true);
        await using (var region = RemoteMemory.Map(
            faulty, new RemoteMemoryOptions { ChunkSize = 2 * page, ResidentLimit = 512 << 10, SaveInterval = TimeSpan.FromMilliseconds(10) }))
        {
            var users = Enumerable.Range(0, 4).Select(user => Task.Run(async () =>
            {
                // Each has every fourth page; chunks are shared.
                var random = new Random(user);
                byte[] model = new byte[(4 << 20) / page];
                byte[] found = new byte[page];
                for (int step = 0; step < 2000; step++)
                {
                    int index = (random.Next(model.Length / 4) * 4) + user;
                    long offset = (long)index * page;
                    await region.CopyToAsync(offset, found);
                    Assert.True(!found.AsSpan().ContainsAnyExcept(model[index]), $"page {index} at step {step} of {user}");
                    found.AsSpan().Fill(model[index] = (byte)random.Next(256));
                    region.CopyFrom(offset, found);
                    if (step % 200 == 0)
                        await region.FlushAsync();
                }

                return model;
            })).ToArray();
            byte[][] models = await Task.WhenAll(users);
            await region.FlushAsync();
            byte[] stored = new byte[4 << 20];
            await faulty.ReadAsync(0, stored);
            for (int index = 0; index < stored.Length / page; index++)
                Assert.False(stored.AsSpan(index * page, page).ContainsAnyExcept(models[index % 4][index]));
        }

        await faulty.DisposeAsync();
    }

    [RequiresTheory("userfault")]
    [InlineData(null)]
    [InlineData(1 << 20)]
    public async Task WholeAbsentChunks_AreWrittenWithoutReadingThem_AlsoBeyondTheLimit(int? limit)
    {
        const int length = 4 << 20;
        var faulty = new FaultyBackend(new MemoryBackend(length), isLate: true);
        await using (var region = RemoteMemory.Map(faulty, new RemoteMemoryOptions { ResidentLimit = limit }))
        {
            byte[] bytes = new byte[length];
            new Random(1).NextBytes(bytes);
            faulty.Fail(FaultKind.Read);
            region.CopyFrom(0, bytes.AsSpan(0, length / 2));
            await region.CopyFromAsync(length / 2, bytes.AsMemory(length / 2));
            Assert.Equal(0, region.Status.BroughtBytes);
            faulty.Heal();
            await region.FlushAsync();
            byte[] found = new byte[length];
            region.CopyTo(0, found);
            Assert.Equal(bytes, found);
            await faulty.ReadAsync(0, found);
            Assert.Equal(bytes, found);
            Assert.True(region.Status.ResidentBytes <= (limit ?? length));
        }

        await faulty.DisposeAsync();
    }

    [RequiresFact("userfault")]
    public async Task MapAndClose_LeaveNothingBehind()
    {
        const long Length = 4L << 30;
        await AloneAsync(2);
        int threads = Count("/proc/self/task");
        long mapped = MappedBytes();
        await AloneAsync(LongRun.IsAskedFor ? 10_000 : 50);

        // Other tests of the process come and go; a leak of each round would show above them. The number of mappings is the collector's as well.
        await Eventually.HoldsAsync(() => Count("/proc/self/task") < threads + 40 && MappedBytes() < mapped + (40 * Length));
        await Eventually.HoldsAsync(() => OwnDescriptors.Targets().Count(target => target.Contains("userfault", StringComparison.Ordinal)) < 20);

        static long MappedBytes() => long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[0], CultureInfo.InvariantCulture) * Environment.SystemPageSize;

        static int Count(string directory) => Directory.GetFileSystemEntries(directory).Length;

        static async Task AloneAsync(int rounds)
        {
            for (int round = 0; round < rounds; round++)
            {
                await using var store = new MemoryBackend(Length);
                await using var region = RemoteMemory.Map(store);
                region.CopyFrom(round, [1]);
            }
        }
    }
}
