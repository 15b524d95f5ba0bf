using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class ArbitraryAccessStageTests
{
    private const int TimeLimit = 120_000;
    private const int Chunk = 4096;
    private const int Length = (5 * Chunk) + 100;

    private static readonly BlockSizes OneChunk = new(Chunk, Chunk, Chunk);

    [Fact(Timeout = TimeLimit)]
    public async Task PartialWritesThatMeetInOneChunk_LoseNothing_AndNeverOverlapBelow()
    {
        var detector = new OverlapDetectorStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(new AlignmentGuardStage(detector, OneChunk));
        byte[] expected = BackendModel.Bytes(1, Length);
        for (int round = 0; round < 10; round++)
        {
            await stage.WriteAsync(0, new byte[Length]);
            await Task.WhenAll(Enumerable.Range(0, Length / 50).Select(i => Task.Run(
                async () => await stage.WriteAsync(i * 50, expected.AsMemory(i * 50, 50)))));
            byte[] actual = new byte[Length];
            await stage.ReadAsync(0, actual);
            Assert.Equal(expected.AsSpan(0, Length / 50 * 50), actual.AsSpan(0, Length / 50 * 50));
        }

        Assert.Equal(0, detector.Overlaps);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task PartialReadsBesidePartialWrites_NeverOverlapBelow()
    {
        var detector = new OverlapDetectorStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(new AlignmentGuardStage(detector, OneChunk));
        await new BackendModelRunner(stage, seed: 3, maximumLength: 100).RunConcurrentAsync(workers: 6, stepsEach: 300);
        Assert.Equal(0, detector.Overlaps);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ChunksOfOneRequest_GoOutTogether_UpToTheBound()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(64 * Chunk));
        await using var stage = new ArbitraryAccessStage(faults, new ArbitraryAccessOptions { ChunkSize = Chunk, Concurrency = 7 });
        var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Read });
        var read = stage.ReadAsync(10, new byte[40 * Chunk]).AsTask();
        Assert.Equal(7, stall.Hits);
        stall.Dispose();
        await read;
        Assert.Equal(7, stall.Hits);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WholeChunkWrite_WaitsForAReadModifyWrite_AndWins()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(faults, new ArbitraryAccessOptions { ChunkSize = Chunk });
        byte[] whole = BackendModel.Bytes(2, Chunk);
        var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Write, Count = 1 });
        var part = stage.WriteAsync(5, new byte[] { 1, 2, 3 }).AsTask();
        await stall.WaitForHitsAsync(1);
        var full = stage.WriteAsync(0, whole).AsTask();
        Assert.False(full.IsCompleted);
        stall.Release();
        await part;
        await full;
        byte[] actual = new byte[Chunk];
        await stage.ReadAsync(0, actual);
        Assert.Equal(whole, actual);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task FailedReadBelow_FailsThePartialWrite_AndChangesNothing()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(faults, new ArbitraryAccessOptions { ChunkSize = Chunk });
        byte[] data = BackendModel.Bytes(4, Length);
        await stage.WriteAsync(0, data);
        using (faults.Inject(new FaultRule { Operations = BackendOperation.Read }))
        {
            var error = await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(7, new byte[9]));
            Assert.Equal(BackendError.InputOutput, error.Error);
            byte[] stale = new byte[10];
            await Assert.ThrowsAsync<BackendException>(async () => await stage.ReadAsync(7, stale));
        }

        byte[] actual = new byte[Length];
        await stage.ReadAsync(0, actual);
        Assert.Equal(data, actual);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OneChunkOfARequestFails_TheOthersAreAwaited_AndTheErrorIsThrown()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(faults, new ArbitraryAccessOptions { ChunkSize = Chunk });
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Where = (_, offset, _) => offset == 0 });
        using var fail = faults.Inject(new FaultRule { Where = (_, offset, _) => offset == Chunk });
        var read = stage.ReadAsync(0, new byte[3 * Chunk]).AsTask();
        await fail.WaitForHitsAsync(1);
        Assert.False(read.IsCompleted);
        stall.Release();
        await Assert.ThrowsAsync<BackendException>(() => read);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledWaiter_LeavesNoLockBehind()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(faults, new ArbitraryAccessOptions { ChunkSize = Chunk });
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Write, Count = 1 });
        var first = stage.WriteAsync(0, new byte[] { 1 }).AsTask();
        await stall.WaitForHitsAsync(1);
        using var source = new CancellationTokenSource();
        var cancelled = Enumerable.Range(1, 20).Select(i => stage.WriteAsync(i, new byte[] { 9 }, source.Token).AsTask()).ToArray();
        var last = stage.WriteAsync(50, new byte[] { 2 }).AsTask();
        await source.CancelAsync();
        foreach (var task in cancelled)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => task);
        Assert.False(last.IsCompleted);
        stall.Release();
        await first;
        await last;
        byte[] actual = new byte[51];
        await stage.ReadAsync(0, actual);
        Assert.Equal(1, actual[0]);
        Assert.Equal(2, actual[50]);
        Assert.All(actual[1..50], b => Assert.Equal(0, b));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledPartialWrite_ReturnsAtOnce_AndDoesNotLandOverALaterNeighbour()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(faults, new ArbitraryAccessOptions { ChunkSize = Chunk });
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Write, Count = 1 });
        using var source = new CancellationTokenSource();
        var cancelled = stage.WriteAsync(0, new byte[] { 1 }, source.Token).AsTask();
        await stall.WaitForHitsAsync(1);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);

        // The store still has the cancelled chunk in its hands: the neighbour must wait for it, or lose its byte.
        var neighbour = stage.WriteAsync(1, new byte[] { 2 }).AsTask();
        Assert.False(neighbour.IsCompleted);
        stall.Release();
        await neighbour;
        byte[] actual = new byte[2];
        await stage.ReadAsync(0, actual);
        Assert.Equal(2, actual[1]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Disposed_WaitsForACancelledWriteThatIsStillOnItsWay()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(Length));
        var stage = new ArbitraryAccessStage(faults, new ArbitraryAccessOptions { ChunkSize = Chunk });
        var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Write });
        using var source = new CancellationTokenSource();
        var cancelled = stage.WriteAsync(0, new byte[] { 1 }, source.Token).AsTask();
        await stall.WaitForHitsAsync(1);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        await stage.DisposeAsync();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LastChunk_IsReadAndWrittenShort()
    {
        var record = new RecordingStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(new AlignmentGuardStage(record, OneChunk));
        await stage.WriteAsync(Length - 1, new byte[] { 7 });
        Assert.Equal(
            [(BackendOperation.Read, 5L * Chunk, 100L), (BackendOperation.Write, 5L * Chunk, 100L)],
            record.Calls);
        record.Calls.Clear();
        await stage.WriteAsync(5 * Chunk, new byte[100]);
        Assert.Equal([(BackendOperation.Write, 5L * Chunk, 100L)], record.Calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WholeChunks_GoInRunsOfTheLongestRequest()
    {
        var record = new RecordingStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(new AlignmentGuardStage(record, new BlockSizes(Chunk, Chunk, 2 * Chunk)));
        await stage.ReadAsync(100, new byte[Length - 200]);
        Assert.Equal(
            [(0L, (long)Chunk), (Chunk, 2L * Chunk), (3 * Chunk, 2L * Chunk)],
            record.Calls.Select(call => (call.Offset, call.Length)));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Trim_TouchesWholeChunksOnly()
    {
        var record = new RecordingStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(new AlignmentGuardStage(record, OneChunk));
        var trim = stage.GetCapability<ITrim>()!;
        await trim.TrimAsync(1, (2 * Chunk) + 5);
        await trim.TrimAsync(1, Chunk);
        await trim.TrimAsync((4 * Chunk) + 1, Length - (4 * Chunk) - 1);
        Assert.Equal([(BackendOperation.Trim, (long)Chunk, (long)Chunk), (BackendOperation.Trim, 5L * Chunk, 100L)], record.Calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ZeroFastOnly_OfPartsOfChunks_IsRefusedBeforeAnythingChanges()
    {
        var record = new RecordingStage(new MemoryBackend(Length));
        await using var stage = new ArbitraryAccessStage(new AlignmentGuardStage(record, OneChunk));
        var error = await Assert.ThrowsAsync<BackendException>(
            async () => await stage.GetCapability<IZero>()!.ZeroAsync(0, Chunk + 1, ZeroMode.FastOnly));
        Assert.Equal(BackendError.NotSupported, error.Error);
        Assert.Empty(record.Calls);
        await stage.GetCapability<IZero>()!.ZeroAsync(Chunk, Length - Chunk, ZeroMode.FastOnly);
        Assert.Equal([(BackendOperation.Zero, (long)Chunk, (long)Length - Chunk)], record.Calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task PowersThatTheBackendBelowLacks_AreNotOffered()
    {
        await using var stage = new ArbitraryAccessStage(new ReadOnlyStage(new MemoryBackend(Length)));
        Assert.Null(stage.GetCapability<ITrim>());
        Assert.Null(stage.GetCapability<IZero>());
        Assert.True(stage.IsReadOnly);
        var error = await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(0, new byte[1]));
        Assert.Equal(BackendError.ReadOnly, error.Error);
    }

    [Theory]
    [InlineData(3, 0, 1)]
    [InlineData(0, 0, 1)]
    [InlineData(4096, 100, 1)]
    [InlineData(4096, -4096, 1)]
    [InlineData(4096, 0, 0)]
    public void OptionsOutOfBounds_Throw(int chunkSize, int maximumRequest, int concurrency)
        => Assert.Throws<ArgumentOutOfRangeException>(() => new ArbitraryAccessStage(
            new MemoryBackend(1),
            new ArbitraryAccessOptions { ChunkSize = chunkSize, MaximumRequest = maximumRequest, Concurrency = concurrency }));
}
