using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class TrackingStageTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task EveryKindOfChange_IsRecorded_AndNothingElse()
    {
        await using var stage = new TrackingStage(new MemoryBackend(100_000), 4096);
        using var session = stage.BeginTracking();
        await stage.WriteAsync(4095, new byte[2]);
        await stage.GetCapability<ITrim>()!.TrimAsync(5 * 4096, 4096);
        await stage.GetCapability<IZero>()!.ZeroAsync((7 * 4096) + 1, 1);
        await stage.WriteAsync(99_999, new byte[1]);
        await stage.WriteAsync(40_000, ReadOnlyMemory<byte>.Empty);
        await stage.ReadAsync(50_000, new byte[1]);
        await stage.FlushAsync();
        Assert.Equal(5, session.ChangedCount);
        Assert.Equal([0, 1, 5, 7, 24], session.SnapshotAndClear().SetChunks());
        Assert.Empty(session.SnapshotAndClear().SetChunks());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Sessions_AreIndependent()
    {
        await using var stage = new TrackingStage(new MemoryBackend(100_000), 4096);
        await stage.WriteAsync(0, new byte[1]);
        using var first = stage.BeginTracking();
        await stage.WriteAsync(4096, new byte[1]);
        using var second = stage.BeginTracking();
        await stage.WriteAsync(8192, new byte[1]);
        Assert.Equal([1, 2], first.SnapshotAndClear().SetChunks());
        await stage.WriteAsync(12_288, new byte[1]);
        first.Dispose();
        first.Dispose();
        await stage.WriteAsync(16_384, new byte[1]);
        Assert.Equal([3], first.SnapshotAndClear().SetChunks());
        Assert.Equal([2, 3, 4], second.SnapshotAndClear().SetChunks());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WriteUnderWayAtASnapshot_IsInTheNext()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(100_000));
        await using var stage = new TrackingStage(faults, 4096);
        using var session = stage.BeginTracking();
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall });
        var write = stage.WriteAsync(0, new byte[1]).AsTask();
        await stall.WaitForHitsAsync(1);
        Assert.Empty(session.SnapshotAndClear().SetChunks());
        stall.Release();
        await write;
        Assert.Equal([0], session.SnapshotAndClear().SetChunks());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WriteUnderWayWhenTrackingBegins_IsRecorded()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(100_000));
        await using var stage = new TrackingStage(faults, 4096);
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall });
        var write = stage.WriteAsync(0, new byte[1]).AsTask();
        await stall.WaitForHitsAsync(1);
        using var session = stage.BeginTracking();
        stall.Release();
        await write;
        Assert.Equal([0], session.SnapshotAndClear().SetChunks());
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(FaultKind.Error)]
    [InlineData(FaultKind.Short)]
    [InlineData(FaultKind.LostReply)]
    public async Task FailedWrite_IsRecorded_SinceItMayHaveLanded(FaultKind kind)
    {
        var faults = new FaultInjectionStage(new MemoryBackend(100_000));
        await using var stage = new TrackingStage(faults, 4096);
        using var session = stage.BeginTracking();
        faults.Inject(new FaultRule { Kind = kind });
        await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(4096, new byte[5000]));
        Assert.Equal([1, 2], session.SnapshotAndClear().SetChunks());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OutOfRange_IsNotRecorded()
    {
        await using var stage = new TrackingStage(new MemoryBackend(4096), 4096);
        using var session = stage.BeginTracking();
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await stage.WriteAsync(4096, new byte[1]));
        Assert.Equal(0, session.ChangedCount);
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CopyingWhatSnapshotsName_WhileWritersRun_EndsEqual(bool asynchronous)
    {
        const int Length = 64 << 10;
        IBackend memory = new MemoryBackend(Length);
        await using var stage = new TrackingStage(asynchronous ? new YieldingStage(memory) : memory, 512);
        byte[] replica = new byte[Length];
        using var session = stage.BeginTracking();
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 3).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (int i = 0; i < 4000; i++)
            {
                byte[] data = BackendModel.Bytes(random.Next(), 1 + random.Next(700));
                await stage.WriteAsync(random.Next(Length - data.Length), data);
            }
        })).ToArray();
        var writing = Task.WhenAll(writers);
        while (!writing.IsCompleted)
            await CopyAsync(stage, session, replica);
        await writing;
        await CopyAsync(stage, session, replica);
        byte[] actual = new byte[Length];
        await stage.ReadAsync(0, actual);
        Assert.Equal(actual, replica);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OneTebibyte_IsTracked()
    {
        await using var stage = new TrackingStage(new MemoryBackend(1L << 40));
        using var session = stage.BeginTracking();
        await stage.WriteAsync((1L << 40) - 1, new byte[1]);
        await stage.WriteAsync(1L << 39, new byte[1]);
        Assert.Equal([1L << 23, (1L << 24) - 1], session.SnapshotAndClear().SetChunks());
    }

    private static async Task CopyAsync(TrackingStage stage, TrackingSession session, byte[] replica)
    {
        foreach (long chunk in session.SnapshotAndClear().SetChunks())
            await stage.ReadAsync(stage.Layout.OffsetOf(chunk), replica.AsMemory((int)stage.Layout.OffsetOf(chunk), stage.Layout.LengthOf(chunk)));
        await Task.Yield();
    }
}
