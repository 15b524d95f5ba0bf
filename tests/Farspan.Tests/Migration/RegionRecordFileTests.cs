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

    private static readonly RegionRecord Third = Second with { Role = RegionRole.Owner, Epoch = 3, Token = Guid.Empty };

    [Fact(Timeout = 120_000)]
    public async Task ADirectory_KeepsARecord_AndForgetsIt()
    {
        using var directory = new TemporaryDirectory();
        string path = Path.Combine(directory.Path, "region");
        await using (var files = CacheDirectory.Open(path))
        {
            var kept = new RegionRecordFile(files);
            Assert.Equal(default, await kept.ReadAsync());
            foreach (var record in new[] { First, Second, First, Second })
                await kept.WriteAsync(record);
        }

        await using (var files = CacheDirectory.Open(path))
        {
            var kept = new RegionRecordFile(files);
            Assert.Equal(Second, await kept.ReadAsync());
            await kept.WriteAsync(default);
            Assert.Equal(default, await kept.ReadAsync());
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task ADamagedRecord_IsNoRecordOfNothing()
    {
        using var directory = new TemporaryDirectory();
        await using var files = CacheDirectory.Open(directory.Path);
        string path = Path.Combine(directory.Path, RegionRecordFile.Name);
        for (int damage = 0; damage < 4; damage++)
        {
            var kept = new RegionRecordFile(files);
            await kept.WriteAsync(First);
            await kept.WriteAsync(Second);
            byte[] bytes = await File.ReadAllBytesAsync(path);

            // All of it gone, its end gone, and a bit of either slot: the other one may be old.
            if (damage < 2)
                bytes = new byte[damage == 0 ? bytes.Length : bytes.Length - 1];
            else
                bytes[damage == 2 ? 70 : 4096 + 20] ^= 1;
            await File.WriteAllBytesAsync(path, bytes);
            var failure = await Assert.ThrowsAsync<BackendException>(() => RegionRecordFile.ReadAsync(files).AsTask());
            Assert.Equal(BackendError.Corrupt, failure.Error);
            await kept.WriteAsync(default);
        }
    }

    /// <summary>What a flush that failed has left on the disk nobody knows: neither slot is written over until a new file is there.</summary>
    [Theory(Timeout = 120_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AFlushThatFailed_CostsNoRecord(bool losePower)
    {
        for (int seed = 0; seed < 50; seed++)
        {
            for (int crash = 1; crash < 12; crash++)
            {
                var disk = new SimulatedDisk(seed, TimeProvider.System) { IsSlow = false };
                var kept = new RegionRecordFile(disk.Open());
                await kept.WriteAsync(First);
                disk.FailSyncOf = RegionRecordFile.Name;
                await Assert.ThrowsAsync<BackendException>(() => kept.WriteAsync(Second).AsTask());
                disk.FailSyncOf = null;
                disk.CrashAtCall = disk.CallCount + crash;
                bool isDone = await TryWriteAsync(kept, Third);
                disk.Restart(losePower);
                var believed = await RegionRecordFile.ReadAsync(disk.Open());
                disk.Restart(losePower: true);
                Assert.Equal(believed, await RegionRecordFile.ReadAsync(disk.Open()));
                Assert.True(believed == Third || (!isDone && (believed == First || believed == Second)), $"seed {seed}, call {crash}: {believed}");
            }
        }
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
                var kept = new RegionRecordFile(disk.Open());
                for (int before = 0; before <= seed % 3; before++)
                    await kept.WriteAsync(First);
                disk.CrashAtCall = disk.CallCount + call;
                bool isDone = await TryWriteAsync(kept, second);
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

    private static async Task<bool> TryWriteAsync(RegionRecordFile kept, RegionRecord record)
    {
        try
        {
            await kept.WriteAsync(record);
            return true;
        }
        catch (SimulatedCrashException)
        {
            return false;
        }
    }
}
