using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class ChecksumStageTests
{
    private const int TimeLimit = 120_000;
    private const int Chunk = 512;
    private const int Length = (40 * Chunk) + 100;

    private static readonly ChecksumOptions Options = new() { ChunkSize = Chunk };

    [Fact(Timeout = TimeLimit)]
    public async Task AnyBitThatFlipsBelow_IsFound_WhereverItIs()
    {
        var below = new KeptStage(new MemoryBackend(Length));
        await using var stage = await ChecksumStage.OpenAsync(below, Options);
        byte[] data = BackendModel.Bytes(1, Length);
        await stage.WriteAsync(0, data.AsMemory(0, Length / 2));
        var random = new Random(2);
        foreach (int position in new[] { 0, Chunk - 1, Chunk, 20 * Chunk, 40 * Chunk, Length - 1 }.Concat(Enumerable.Range(0, 30).Select(_ => random.Next(Length))))
        {
            await FlipAsync(below, position, random.Next(8));
            long chunk = position / Chunk * Chunk;
            var error = await Assert.ThrowsAsync<BackendException>(async () => await stage.ReadAsync(0, new byte[Length]));
            Assert.Equal(BackendError.Corrupt, error.Error);
            Assert.False(error.IsTransient);
            Assert.Contains($"bytes at {chunk} are corrupt", error.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<BackendException>(async () => await stage.ReadAsync(chunk, new byte[1]));
            await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(chunk + 1, new byte[1]));
            await stage.ReadAsync(0, new byte[chunk]);
            byte[] again = data.AsSpan((int)chunk, (int)Math.Min(Chunk, Length - chunk)).ToArray();
            await stage.WriteAsync(chunk, again);
            await stage.ReadAsync(0, new byte[Length]);
        }
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(FaultKind.Error)]
    [InlineData(FaultKind.Short)]
    [InlineData(FaultKind.LostReply)]
    public async Task FailedWrite_LeavesOldOrNewBytes_NotCorruption(FaultKind kind)
    {
        var below = new KeptStage(new MemoryBackend(Length));
        var faults = new FaultInjectionStage(below);
        await using var stage = await ChecksumStage.OpenAsync(faults, Options);
        byte[] old = BackendModel.Bytes(3, Length);
        byte[] data = BackendModel.Bytes(4, 3 * Chunk);
        await stage.WriteAsync(0, old);
        using (faults.Inject(new FaultRule { Kind = kind, Operations = BackendOperation.Write }))
            await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(100, data));
        byte[] actual = new byte[Length];
        await stage.ReadAsync(0, actual);
        for (int i = 0; i < Length; i++)
            Assert.True(actual[i] == old[i] || (i >= 100 && i < 100 + data.Length && actual[i] == data[i - 100]), $"byte {i}");

        // What was believed once is compared from then on.
        await FlipAsync(below, Chunk + 5, 0);
        await Assert.ThrowsAsync<BackendException>(async () => await stage.ReadAsync(0, actual));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledWrite_OnItsWayDown_IsFinishedWithItsChecksum()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(Length));
        await using var stage = await ChecksumStage.OpenAsync(faults, Options);
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Write });
        using var source = new CancellationTokenSource();
        var write = stage.WriteAsync(0, new byte[] { 1 }, source.Token).AsTask();
        await stall.WaitForHitsAsync(1);
        await source.CancelAsync();
        stall.Dispose();
        await write;
        byte[] actual = new byte[1];
        await stage.ReadAsync(0, actual);
        Assert.Equal(1, actual[0]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Reopened_WithItsSide_ComparesWhatWasStored()
    {
        var below = new KeptStage(new MemoryBackend(Length));
        var side = new KeptStage(new MemoryBackend(ChecksumStage.SideLength(Length, Chunk)));
        byte[] data = BackendModel.Bytes(5, Length);
        await using (var stage = await OpenAsync(below, side))
            await stage.WriteAsync(7, data.AsMemory(7));
        await using (var again = await OpenAsync(below, side))
        {
            byte[] actual = new byte[Length];
            await again.ReadAsync(0, actual);
            Assert.Equal(data.AsSpan(7), actual.AsSpan(7));
        }

        await FlipAsync(below, 3000, 4);
        await using (var corrupt = await OpenAsync(below, side))
            Assert.Equal(BackendError.Corrupt, (await Assert.ThrowsAsync<BackendException>(async () => await corrupt.ReadAsync(0, new byte[Length]))).Error);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task AfterACrash_WhatWasBeingWrittenIsBelieved_TheRestIsCompared()
    {
        // Two runs of 1024 chunks; only the first is written after the checksums were stored.
        const int Long = 2000 * Chunk;
        var below = new KeptStage(new MemoryBackend(Long));
        var side = new KeptStage(new MemoryBackend(ChecksumStage.SideLength(Long, Chunk)));
        byte[] data = BackendModel.Bytes(6, Long);
        await using (var stage = await OpenAsync(below, side))
            await stage.WriteAsync(0, data);
        var crashed = await OpenAsync(below, side);
        await crashed.WriteAsync(100, new byte[] { 1, 2, 3 });
        await crashed.FlushAsync();
        await crashed.WriteAsync(200, new byte[] { 4, 5, 6 });

        // The process ends here: the data of the last write is there, its checksum is not.
        await using (var again = await OpenAsync(below, side))
        {
            byte[] actual = new byte[Chunk];
            await again.ReadAsync(0, actual);
            Assert.Equal([1, 2, 3], actual[100..103]);
            Assert.Equal([4, 5, 6], actual[200..203]);
            await FlipAsync(below, 1500 * Chunk, 0);
            await Assert.ThrowsAsync<BackendException>(async () => await again.ReadAsync(1500 * Chunk, actual));
            await FlipAsync(below, 1500 * Chunk, 0);
            Assert.Equal(1023, await again.SettleAsync());
            Assert.Equal(0, await again.SettleAsync());
        }

        // Settled, and closed in order: the first run is compared again.
        await FlipAsync(below, 5, 0);
        await using (var settled = await OpenAsync(below, side))
            await Assert.ThrowsAsync<BackendException>(async () => await settled.ReadAsync(0, new byte[Chunk]));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task MarkBeforeTheFirstWrite_IsDurableFirst()
    {
        var record = new RecordingStage(new MemoryBackend(ChecksumStage.SideLength(Length, Chunk)));
        var below = new FaultInjectionStage(new MemoryBackend(Length));
        await using var stage = await OpenAsync(below, record);
        record.Calls.Clear();
        using var stall = below.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Write });
        var write = stage.WriteAsync(0, new byte[1]).AsTask();
        await stall.WaitForHitsAsync(1);
        Assert.Equal([BackendOperation.Write, BackendOperation.Flush], record.Calls.Select(call => call.Operation));
        stall.Dispose();
        await write;
        record.Calls.Clear();
        await stage.WriteAsync(9, new byte[1]);
        Assert.Empty(record.Calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task FailureToStoreChecksums_IsReported_AndMadeGoodByTheNextFlush()
    {
        var sideMemory = new KeptStage(new MemoryBackend(ChecksumStage.SideLength(Length, Chunk)));
        var side = new FaultInjectionStage(sideMemory);
        var below = new KeptStage(new MemoryBackend(Length));
        await using (var stage = await OpenAsync(below, side))
        {
            await stage.WriteAsync(0, BackendModel.Bytes(7, Length));
            using (side.Inject(new FaultRule { Operations = BackendOperation.Write }))
                await Assert.ThrowsAsync<BackendException>(async () => await stage.FlushAsync());
            await stage.FlushAsync();
        }

        await using var again = await OpenAsync(below, sideMemory);
        await again.ReadAsync(0, new byte[Length]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task FailedWrite_BeforeAnOrderlyClose_IsStillBelievedAfterReopening()
    {
        var below = new KeptStage(new MemoryBackend(Length));
        var side = new KeptStage(new MemoryBackend(ChecksumStage.SideLength(Length, Chunk)));
        var faults = new FaultInjectionStage(below);
        await using (var stage = await OpenAsync(faults, side))
        {
            faults.Inject(new FaultRule { Kind = FaultKind.Short, Operations = BackendOperation.Write });
            await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(0, BackendModel.Bytes(9, Chunk)));
        }

        await using var again = await OpenAsync(below, side);
        await again.ReadAsync(0, new byte[Length]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Scan_BelievesWhatIsThere()
    {
        var below = new KeptStage(new MemoryBackend(Length));
        await below.WriteAsync(0, BackendModel.Bytes(8, Length));
        await using (var strict = await ChecksumStage.OpenAsync(below, Options))
            await Assert.ThrowsAsync<BackendException>(async () => await strict.ReadAsync(0, new byte[1]));
        await using var stage = await ChecksumStage.OpenAsync(below, Options with { Start = ChecksumStart.Scan });
        await stage.ReadAsync(0, new byte[Length]);
        await FlipAsync(below, 700, 1);
        await Assert.ThrowsAsync<BackendException>(async () => await stage.ReadAsync(700, new byte[1]));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task SideThatDoesNotFit_IsRefused()
    {
        long needed = ChecksumStage.SideLength(Length, Chunk);
        await Assert.ThrowsAsync<ArgumentException>(async () => await OpenAsync(new MemoryBackend(Length), new MemoryBackend(needed - 1)));
        var other = new MemoryBackend(needed);
        await other.WriteAsync(0, "something else"u8.ToArray());
        Assert.Equal(BackendError.Invalid, (await Assert.ThrowsAsync<BackendException>(async () => await OpenAsync(new MemoryBackend(Length), other))).Error);
        var side = new KeptStage(new MemoryBackend(needed));
        await (await OpenAsync(new MemoryBackend(Length), side)).DisposeAsync();
        var error = await Assert.ThrowsAsync<BackendException>(async () => await OpenAsync(new MemoryBackend(Length - 1), side));
        Assert.Contains($"are of {Length} bytes", error.Message, StringComparison.Ordinal);
        await FlipAsync(side, 9, 0);
        Assert.Equal(BackendError.Corrupt, (await Assert.ThrowsAsync<BackendException>(async () => await OpenAsync(new MemoryBackend(Length), side))).Error);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ChunkThatDoesNotSuitTheBackend_IsRefused()
    {
        var guard = new AlignmentGuardStage(new MemoryBackend(1 << 20), new BlockSizes(4096, 4096, 8192));
        await Assert.ThrowsAsync<ArgumentException>(async () => await ChecksumStage.OpenAsync(guard, Options));
        await Assert.ThrowsAsync<ArgumentException>(async () => await ChecksumStage.OpenAsync(guard, new ChecksumOptions { ChunkSize = 16_384 }));
        await using var stage = await ChecksumStage.OpenAsync(guard, new ChecksumOptions { ChunkSize = 4096 });
        await stage.WriteAsync(1, new byte[100_000]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OverlappingWritersAndReaders_NeverSeeCorruption()
    {
        await using var stage = await ChecksumStage.OpenAsync(new YieldingStage(new MemoryBackend(Length)), Options);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (int i = 0; i < 300; i++)
            {
                int offset = random.Next(Length);
                byte[] data = BackendModel.Bytes(random.Next(), random.Next(Math.Min(3000, Length - offset)));
                if (random.Next(3) == 0)
                    await stage.ReadAsync(offset, data);
                else
                    await stage.WriteAsync(offset, data);
            }
        })));
        await stage.ReadAsync(0, new byte[Length]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task DisposedDuringAWrite_StoresItsChecksumToo()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(Length));
        var below = new KeptStage(faults);
        var side = new KeptStage(new MemoryBackend(ChecksumStage.SideLength(Length, Chunk)));
        var stage = await OpenAsync(below, side);
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Write });
        var write = stage.WriteAsync(0, BackendModel.Bytes(1, Chunk)).AsTask();
        await stall.WaitForHitsAsync(1);
        var waiting = stage.WriteAsync(0, BackendModel.Bytes(2, Chunk)).AsTask();
        var closing = stage.DisposeAsync().AsTask();
        stall.Dispose();
        await write;
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        await closing;
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await stage.ReadAsync(0, new byte[1]));
        await using var again = await OpenAsync(below, side);
        byte[] actual = new byte[Chunk];
        await again.ReadAsync(0, actual);
        Assert.Equal(BackendModel.Bytes(1, Chunk), actual);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledZero_ThatChangedNothing_LeavesItsChunksCompared()
    {
        var below = new KeptStage(new MemoryBackend(Length));
        await using var stage = await ChecksumStage.OpenAsync(below, Options);
        await stage.WriteAsync(0, BackendModel.Bytes(1, Length));
        var cancelled = new CancellationToken(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await stage.GetCapability<IZero>()!.ZeroAsync(0, Length, ZeroMode.None, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await stage.GetCapability<ITrim>()!.TrimAsync(0, Length, cancelled));
        Assert.Equal(0, await stage.SettleAsync());
        await FlipAsync(below, 700, 1);
        await Assert.ThrowsAsync<BackendException>(async () => await stage.ReadAsync(700, new byte[1]));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task StoresThatTakeShortRequests_GetNoLongerOnes()
    {
        var below = new KeptStage(new MemoryBackend(Length));
        await below.WriteAsync(0, BackendModel.Bytes(1, Length));
        var side = new KeptStage(new AlignmentGuardStage(
            new MemoryBackend(ChecksumStage.SideLength(Length, Chunk)), new BlockSizes(4096, 4096, 4096)));
        var options = Options with { Start = ChecksumStart.Scan, Side = side };
        for (int round = 0; round < 2; round++)
        {
            var guard = new AlignmentGuardStage(below, new BlockSizes(Chunk, Chunk, 3 * Chunk));
            await using var stage = await ChecksumStage.OpenAsync(guard, options);
            byte[] actual = new byte[Length];
            await stage.ReadAsync(0, actual);
            Assert.Equal(BackendModel.Bytes(1, Length), actual);
            await stage.WriteAsync(1, actual.AsMemory(1, 5));
        }
    }

    private static ValueTask<ChecksumStage> OpenAsync(IBackend below, IBackend side) => ChecksumStage.OpenAsync(below, Options with { Side = side });

    private static async Task FlipAsync(IBackend backend, long position, int bit)
    {
        byte[] one = new byte[1];
        await backend.ReadAsync(position, one);
        one[0] ^= (byte)(1 << bit);
        await backend.WriteAsync(position, one);
    }

    /// <summary>Outlives the stages above it, as a disk does.</summary>
    private sealed class KeptStage(IBackend inner) : InterceptingStage(inner)
    {
#pragma warning disable CA2215 // To outlive the stage that disposes it is what it is for.
        public override ValueTask DisposeAsync() => default;
#pragma warning restore CA2215

        private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
            => call.StartAsync(Below, cancellationToken);
    }
}
