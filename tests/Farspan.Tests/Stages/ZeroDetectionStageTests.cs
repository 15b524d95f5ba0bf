using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class ZeroDetectionStageTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task WriteOfZeroes_BecomesAZero()
    {
        var record = new RecordingStage(new MemoryBackend(1 << 20));
        await using var stage = new ZeroDetectionStage(record);
        await stage.WriteAsync(100, new byte[5000]);
        Assert.Equal([(BackendOperation.Zero, 100L, 5000L)], record.Calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ShortWriteOfZeroes_StaysAWrite()
    {
        var record = new RecordingStage(new MemoryBackend(1 << 20));
        await using var stage = new ZeroDetectionStage(record);
        await stage.WriteAsync(100, new byte[4095]);
        Assert.Equal([(BackendOperation.Write, 100L, 4095L)], record.Calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RunsInsideAWrite_AreCutOut_AtMultiplesOfTheGranule()
    {
        var record = new RecordingStage(new MemoryBackend(1 << 20));
        await using var stage = new ZeroDetectionStage(record, new ZeroDetectionOptions { Granule = 512, MinimumRun = 1024 });
        byte[] data = BackendModel.Bytes(1, 8192);
        data.AsSpan(1000, 2000).Clear();
        data.AsSpan(5632, 512).Clear();
        await stage.WriteAsync(100, data);

        // 1000 + 100 to 3000 + 100 holds the granules from 1536 to 3072; the run of 512 is too short.
        Assert.Equal(
            [(BackendOperation.Write, 100L, 1436L), (BackendOperation.Zero, 1536L, 1536L), (BackendOperation.Write, 3072L, 5220L)],
            record.Calls);
        byte[] actual = new byte[8192];
        await stage.ReadAsync(100, actual);
        Assert.Equal(data, actual);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Runs_BeginAndEndWhereTheBackendBelowTakesIt()
    {
        const int Block = 16 << 10;
        var record = new RecordingStage(new AlignmentGuardStage(new MemoryBackend((1 << 20) + 100), new BlockSizes(Block, Block, 1 << 20)));
        await using var stage = new ZeroDetectionStage(record, new ZeroDetectionOptions { Granule = 512, MinimumRun = 512 });
        byte[] data = BackendModel.Bytes(1, (8 * Block) + 100);
        data.AsSpan(Block - 512, (2 * Block) + 1024).Clear();
        data.AsSpan(5 * Block, 4096).Clear();
        long offset = (1 << 20) - (8 * Block);
        await stage.WriteAsync(offset, data);
        Assert.Equal(
            [(BackendOperation.Write, offset, Block), (BackendOperation.Zero, offset + Block, 2L * Block), (BackendOperation.Write, offset + (3 * Block), (5L * Block) + 100)],
            record.Calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WithoutAGranule_OnlyWholeWritesAreLookedAt()
    {
        var record = new RecordingStage(new MemoryBackend(1 << 20));
        await using var stage = new ZeroDetectionStage(record, new ZeroDetectionOptions { Granule = null, MinimumRun = 1 });
        byte[] data = new byte[8192];
        data[8191] = 1;
        await stage.WriteAsync(0, data);
        await stage.WriteAsync(0, new byte[1]);
        Assert.Equal([(BackendOperation.Write, 0L, 8192L), (BackendOperation.Zero, 0L, 1L)], record.Calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ZeroRefused_IsWritten()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(1 << 20));
        faults.Inject(new FaultRule { Operations = BackendOperation.Zero, Error = BackendError.NotSupported });
        await using var stage = new ZeroDetectionStage(faults);
        await stage.WriteAsync(0, BackendModel.Bytes(2, 8192));
        await stage.WriteAsync(0, new byte[8192]);
        byte[] actual = new byte[8192];
        await stage.ReadAsync(0, actual);
        Assert.All(actual, b => Assert.Equal(0, b));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WithoutZeroingBelow_WritesPass()
    {
        await using var stage = new ZeroDetectionStage(new ReadOnlyStage(new MemoryBackend(1 << 20)));
        Assert.Null(stage.GetCapability<IZero>());
        Assert.Equal(BackendError.ReadOnly, (await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(0, new byte[8192]))).Error);
    }

    [Fact]
    public void AnyBuffer_IsCutIntoRunsThatAreTrueAndAligned()
    {
        var cases =
            from offset in Gen.Choose(0, 2000)
            from granuleShift in Gen.Choose(3, 7)
            from minimum in Gen.Choose(1, 300)
            from runs in Gen.Choose(0, 150).ArrayOf(8)
            select (offset, granule: 1 << granuleShift, minimum, runs);
        Prop.ForAll(cases.ToArbitrary(), test =>
        {
            byte[] data = [.. test.runs.SelectMany((length, i) => Enumerable.Repeat((byte)(i % 2), length))];
            var splitter = new ZeroRunSplitter(test.offset, data, test.granule, test.minimum);
            var covered = new bool[data.Length];
            int position = 0;
            bool? last = null;
            while (splitter.TryTake(out var run))
            {
                Assert.Equal(position, run.Start);
                Assert.True(run.Length > 0);
                Assert.NotEqual(last, run.IsZero);
                last = run.IsZero;
                if (run.IsZero)
                {
                    Assert.DoesNotContain(data.AsSpan(run.Start, run.Length).ToArray(), b => b != 0);
                    Assert.Equal(0, (test.offset + run.Start) % test.granule);
                    Assert.Equal(0, (test.offset + run.Start + run.Length) % test.granule);
                    Assert.True(run.Length >= test.minimum);
                    covered.AsSpan(run.Start, run.Length).Fill(true);
                }

                position += run.Length;
            }

            Assert.Equal(data.Length, position);
            AssertNoneMissed(test.offset, test.granule, test.minimum, data, covered);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void OptionsOutOfBounds_Throw()
    {
        foreach (var options in new ZeroDetectionOptions[]
            { new() { Granule = 0 }, new() { Granule = 256 }, new() { Granule = 1000 }, new() { MinimumRun = 0 }, new() { Concurrency = 0 }, new() { Mode = ZeroMode.FastOnly } })
            Assert.Throws<ArgumentOutOfRangeException>(() => new ZeroDetectionStage(new MemoryBackend(1), options));
    }

    /// <summary>Looks for runs granule by granule, the slow way.</summary>
    private static void AssertNoneMissed(int offset, int granule, int minimum, byte[] data, bool[] covered)
    {
        int run = 0;
        for (int start = (granule - (offset % granule)) % granule; start + granule <= data.Length; start += granule)
        {
            run = data.AsSpan(start, granule).ContainsAnyExcept((byte)0) ? 0 : run + granule;
            if (run >= minimum && run > 0)
                Assert.True(covered[start], $"The zeroes that end at {start + granule} were missed.");
        }
    }
}
