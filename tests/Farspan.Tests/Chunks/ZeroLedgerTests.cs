using Farspan.Chunks;
using Xunit;

namespace Farspan.Tests.Chunks;

public sealed class ZeroLedgerTests
{
    private const int Count = 200;
    private readonly ChunkBitmap _zero = new(Count);
    private readonly ZeroLedger _ledger;
    private long _write;

    public ZeroLedgerTests() => _ledger = new ZeroLedger(_zero);

    [Fact(Timeout = 60_000)]
    public Task Run_GoesOutOnce_AndIsKnownAfterTheFlushThatCoversIt()
    {
        Add(10, 50);
        Assert.Equal((50, 1), (_ledger.DirtyCount, _ledger.From));
        Assert.Equal((10, 50), Take());
        Assert.Null(Take());
        Assert.Equal((0, 50, 1), (_ledger.DirtyCount, _ledger.UnknownCount, _ledger.From));
        _ledger.Sent(new ZeroRun(10, 50, 1, ZeroKind.Zero, 0), push: 7);
        Assert.Equal(long.MaxValue, _ledger.From);
        Assert.Empty(_ledger.TakeFlushed(push: 6));
        Assert.True(_ledger.IsUnknown(59));
        Assert.Single(_ledger.TakeFlushed(push: 7));
        Assert.Equal((50, true), (_ledger.KnownRun(10, Count, out bool isKnown), isKnown));
        Assert.Equal((0, 0), (_ledger.UnknownCount, _ledger.RunCount));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task WhatIsWrittenMeanwhile_IsLeftOut()
    {
        Add(0, 10);
        EndZero(0);
        EndZero(5);
        Assert.Equal((1, 4), Take());
        Assert.Equal((6, 4), Take());
        Assert.Null(Take());
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task ZeroedAgain_IsOneEntryOfTheLatestKind()
    {
        Add(0, 10, ZeroKind.ZeroAllocated);
        Add(4, 2, ZeroKind.Trim);
        Add(6, 4);
        Assert.Equal(10, _ledger.DirtyCount);
        Assert.Equal([(0, 4, ZeroKind.ZeroAllocated), (4, 2, ZeroKind.Trim), (6, 4, ZeroKind.Zero)], TakeAll());
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task Most_CountsForTheKindThatIsTaken()
    {
        Add(0, 10);
        Add(20, 10, ZeroKind.Trim);
        var taken = new List<(long, long)>();
        while (_ledger.TryTake(kind => kind == ZeroKind.Trim ? 100 : 4, static (first, count) => first + count, out var run))
            taken.Add((run.FirstChunk, run.Count));
        Assert.Equal([(0, 4), (4, 4), (8, 2), (20, 10)], taken);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task BusyChunk_EndsTheRun_AndAtTheFrontHoldsTheQueueUp()
    {
        Add(0, 10);
        Assert.True(_ledger.TryTake(_ => Count, (_, _) => 6, out var run));
        Assert.Equal((0, 6), (run.FirstChunk, run.Count));
        Assert.False(_ledger.TryTake(_ => Count, (first, _) => first, out _));
        Assert.Equal((6, 4), Take());
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task FailedPushAndFailedFlush_BringBackWhatIsStillZero_InItsOldPlace()
    {
        Add(0, 10);
        Add(20, 5);
        Assert.True(_ledger.TryTake(_ => Count, static (first, count) => first + count, out var first));
        EndZero(3);
        _ledger.Undo(first);
        Assert.Equal((9 + 5, 1), (_ledger.DirtyCount, _ledger.From));
        Assert.True(_ledger.TryTake(_ => Count, static (start, count) => start + count, out var again));
        Assert.Equal((0, 3), (again.FirstChunk, again.Count));
        _ledger.Sent(again, push: 1);
        Assert.True(_ledger.HasUnflushed);
        _ledger.UndoUnflushed();
        Assert.False(_ledger.HasUnflushed);
        Assert.Equal([(0, 3, ZeroKind.Zero), (4, 6, ZeroKind.Zero), (20, 5, ZeroKind.Zero)], TakeAll());
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task KnownRun_EndsBeforeWhatIsNotKnown()
    {
        Add(0, 50);
        Finish();
        Add(20, 5);
        Assert.Equal((20, true), (_ledger.KnownRun(0, Count, out bool isKnown), isKnown));
        Assert.Equal((1, false), (_ledger.KnownRun(20, Count, out isKnown), isKnown));
        Assert.Equal((25, true), (_ledger.KnownRun(25, Count, out isKnown), isKnown));
        Take();
        Assert.Equal((7, true), (_ledger.KnownRun(13, Count, out isKnown), isKnown));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task AllocatedZeroes_AreToldApart()
    {
        var layout = new ChunkLayout(Count * 4096L, 4096);
        long run = 30 * 4096;
        Assert.False(_ledger.AllocatedRun(0, ref run, layout));
        Assert.Equal(30 * 4096, run);
        Add(0, 10);
        Add(10, 10, ZeroKind.ZeroAllocated);
        Assert.False(_ledger.AllocatedRun(100, ref run, layout));
        Assert.Equal((10 * 4096) - 100, run);
        run = 30 * 4096;
        Assert.True(_ledger.AllocatedRun(10 * 4096, ref run, layout));
        Assert.Equal(10 * 4096, run);
        return Task.CompletedTask;
    }

    /// <summary>However pushes and flushes fail and chunks change meanwhile: in the end the remote has been told of each that is zero, as it became so last.</summary>
    [Fact(Timeout = 60_000)]
    public Task AnyLife_EndsWithEveryZeroKnown()
    {
        for (int seed = 0; seed < 300; seed++)
            Live(new ZeroLedgerTests(), new Random(seed));
        return Task.CompletedTask;
    }

    private static void Live(ZeroLedgerTests test, Random random)
    {
        var (ledger, told, kinds) = (test._ledger, new ZeroKind?[Count], new ZeroKind[Count]);
        var sending = new List<ZeroRun>();
        long push = 0;
        for (int step = 0; step < 200; step++)
        {
            switch (random.Next(7))
            {
                case 0:
                    int first = random.Next(Count);
                    int count = 1 + random.Next(Count - first);
                    var kind = (ZeroKind)random.Next(3);
                    test.Add(first, count, kind);
                    Array.Fill(kinds, kind, first, count);
                    break;
                case 1 when test._zero.NextSet(random.Next(Count)) is >= 0 and var written:
                    test.EndZero(written);
                    told[written] = null;
                    break;
                case 2 or 3 when ledger.TryTake(_ => 1 + random.Next(50), (start, length) => FirstBusy(sending, start, length), out var run):
                    sending.Add(run);
                    break;
                case 4 when sending.Count > 0:
                    push = End(ledger, sending, told, push, random.Next(3) > 0);
                    break;
                case 5:
                    ledger.TakeFlushed(push);
                    break;
                case 6:
                    ledger.UndoUnflushed();
                    break;
            }
        }

        while (sending.Count > 0)
            push = End(ledger, sending, told, push, succeeds: true);
        ledger.UndoUnflushed();
        while (ledger.TryTake(_ => Count, static (start, length) => start + length, out var run))
        {
            sending.Add(run);
            push = End(ledger, sending, told, push, succeeds: true);
        }

        ledger.TakeFlushed(push);
        Assert.Equal((0, 0), (ledger.UnknownCount, ledger.RunCount));
        for (int chunk = 0; chunk < Count; chunk++)
        {
            if (test._zero[chunk])
                Assert.Equal(kinds[chunk], told[chunk]);
        }
    }

    private static long FirstBusy(List<ZeroRun> sending, long first, long count)
        => sending.Where(run => run.Meets(first, count)).Select(run => Math.Max(first, run.FirstChunk)).DefaultIfEmpty(first + count).Min();

    private static long End(ZeroLedger ledger, List<ZeroRun> sending, ZeroKind?[] told, long push, bool succeeds)
    {
        var run = sending[0];
        sending.RemoveAt(0);
        if (!succeeds)
        {
            ledger.Undo(run);
            return push;
        }

        Array.Fill(told, run.Kind, (int)run.FirstChunk, (int)run.Count);
        ledger.Sent(run, ++push);
        return push;
    }

    private void Add(long first, long count, ZeroKind kind = ZeroKind.Zero)
    {
        _zero.Set(first, count);
        _ledger.Add(first, count, kind, ++_write);
    }

    private void EndZero(long chunk)
    {
        _ledger.Forget(chunk);
        _zero.Clear(chunk);
    }

    private (long First, long Count)? Take()
        => _ledger.TryTake(_ => Count, static (first, count) => first + count, out var run) ? (run.FirstChunk, run.Count) : null;

    private List<(long, long, ZeroKind)> TakeAll()
    {
        var taken = new List<(long, long, ZeroKind)>();
        while (_ledger.TryTake(_ => Count, static (first, count) => first + count, out var run))
            taken.Add((run.FirstChunk, run.Count, run.Kind));
        return taken;
    }

    private void Finish()
    {
        while (_ledger.TryTake(_ => Count, static (first, count) => first + count, out var run))
            _ledger.Sent(run, push: 1);
        _ledger.TakeFlushed(push: 1);
    }
}
