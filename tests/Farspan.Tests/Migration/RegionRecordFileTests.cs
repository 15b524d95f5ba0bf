using Farspan.Backends;
using Farspan.Migration;
using Farspan.Mounts.Caching;
using Farspan.TestKit;
using Farspan.TestKit.Simulation;
using Xunit;

namespace Farspan.Tests.Migration;

public sealed class RegionRecordFileTests
{
    private static readonly RegionRecord First = RegionRecord.Begin(new Guid(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    private static readonly RegionRecord Second = First with { Role = RegionRole.HandedOver, Epoch = 2, Token = new Guid(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) };

    [Fact(Timeout = 120_000)]
    public async Task ADirectory_KeepsARecord_AndForgetsIt()
    {
        using var directory = new TemporaryDirectory();
        string path = Path.Combine(directory.Path, "region");
        await using (var files = CacheDirectory.Open(path))
        {
            Assert.Equal(default, await RegionRecordFile.ReadAsync(files));
            await RegionRecordFile.WriteAsync(files, First);
            await RegionRecordFile.WriteAsync(files, Second);
        }

        await using (var files = CacheDirectory.Open(path))
        {
            Assert.Equal(Second, await RegionRecordFile.ReadAsync(files));
            await RegionRecordFile.WriteAsync(files, default);
            Assert.Equal(default, await RegionRecordFile.ReadAsync(files));
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task ADamagedRecord_IsNoRecordOfNothing()
    {
        using var directory = new TemporaryDirectory();
        await using var files = CacheDirectory.Open(directory.Path);
        await RegionRecordFile.WriteAsync(files, First);
        await File.WriteAllBytesAsync(Path.Combine(directory.Path, RegionRecordFile.Name), new byte[RegionRecord.Size]);
        var failure = await Assert.ThrowsAsync<BackendException>(() => RegionRecordFile.ReadAsync(files).AsTask());
        Assert.Equal(BackendError.Corrupt, failure.Error);
    }

    // What a start once believed stays so, whatever loss of power comes then: others may have been told.
    [Theory(Timeout = 120_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ACrashAtAnyCall_LeavesOneOfTwo_AndWhatWasReadStays(bool isForgotten)
    {
        var second = isForgotten ? default : Second;
        for (int seed = 0; seed < 200; seed++)
        {
            var seen = new HashSet<RegionRecord>();
            for (int call = 0; call < 12; call++)
            {
                var disk = new SimulatedDisk(seed, TimeProvider.System) { IsSlow = false };
                await RegionRecordFile.WriteAsync(disk.Open(), First);
                disk.CrashAtCall = disk.CallCount + call;
                bool isDone = await TryWriteAsync(disk, second);
                disk.Restart(losePower: seed % 2 == 0);
                var believed = await RegionRecordFile.ReadAsync(disk.Open());
                disk.Restart(losePower: true);
                var after = await RegionRecordFile.ReadAsync(disk.Open());
                Assert.True(believed == second || (believed == First && !isDone), $"seed {seed}, call {call}");
                Assert.Equal(believed, after);
                seen.Add(believed);
            }

            Assert.Equal(2, seen.Count);
        }
    }

    private static async Task<bool> TryWriteAsync(SimulatedDisk disk, RegionRecord record)
    {
        try
        {
            await RegionRecordFile.WriteAsync(disk.Open(), record);
            return true;
        }
        catch (SimulatedCrashException)
        {
            return false;
        }
    }
}
