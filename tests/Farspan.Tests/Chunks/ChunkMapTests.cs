using Farspan.Chunks;
using Xunit;

namespace Farspan.Tests.Chunks;

public sealed class ChunkMapTests
{
    private const int Chunk = 4096;
    private readonly ChunkMap _map = new(new ChunkLayout((3 * Chunk) + 100, Chunk));
    private long _write;

    [Fact(Timeout = 60_000)]
    public Task NewMap_HasNothing()
    {
        Assert.Equal((ChunkPresence.Missing, _map.Layout.Length), Look(0));
        Assert.Equal((0, 0, 0, 0), (_map.WholeCount, _map.ZeroCount, _map.PartialCount, _map.DirtyBytes));
        Assert.Equal(0, _map.NextMissing(0));
        Assert.Equal(-1, _map.NextWhole(0));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task PartialWrite_IsHereToTheByte_AndTheGapStaysMissing()
    {
        Assert.False(Write(1, 100, 200));
        Assert.Equal((ChunkPresence.Missing, Chunk + 100L), Look(0));
        Assert.Equal((ChunkPresence.Here, 100L), Look(Chunk + 100));
        Assert.Equal((ChunkPresence.Missing, _map.Layout.Length - Chunk - 200L), Look(Chunk + 200));
        Assert.Equal((1, 100), (_map.PartialCount, _map.DirtyBytes));
        Assert.Equal(0, _map.WholeRun(Chunk + 100, 10));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task WritesThatFillAChunk_MakeItWhole_TheShortLastOneToo()
    {
        Assert.False(Write(0, 0, 4000));
        Assert.True(Write(0, 4000, 4096));
        Assert.True(Write(3, 0, 100));
        Assert.Equal((2, 0), (_map.WholeCount, _map.PartialCount));
        Assert.Equal(1, _map.NextMissing(0));
        Assert.Equal(3, _map.NextWhole(1));
        Assert.Equal(4, _map.NextMissing(3));
        Assert.Equal((ChunkPresence.Here, (long)Chunk), Look(0));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task WriteWhileAPushIsUnderWay_StaysDirty_WhetherThePushSucceedsOrNot()
    {
        foreach (bool succeeds in new[] { true, false })
        {
            _map.SetWhole(0);
            Write(0, 0, 50);
            var detail = _map.Find(0)!;
            detail.IsSending = true;
            long from = _map.StartSending(detail);
            Assert.Empty(_map.ByAge);
            Write(0, 10, 20);
            if (succeeds)
                _map.EndSending(detail, from, push: 1);
            else
                _map.UndoSending(detail, from);
            Assert.Equal(succeeds ? [(10, 20)] : [(0, 50)], detail.Dirty.Ranges.ToArray());
            Assert.Equal(succeeds ? [(0, 50)] : [], detail.Unflushed.Ranges.ToArray());
            Assert.Equal(succeeds ? _write : from, _map.ByAge.Single().DirtyFrom);
            _map.UndoUnflushed();
            Clean(0);
        }

        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task FailedFlush_MakesDirtyAgain_OldestFirst()
    {
        for (int chunk = 2; chunk >= 0; chunk--)
            Write(chunk, 0, 10);
        foreach (int chunk in new[] { 0, 2, 1 })
            Send(chunk, push: chunk + 1);
        Write(1, 5, 15);
        Assert.Equal([0, 2, 1], _map.ByPush.Select(detail => (int)detail.Index));
        _map.UndoUnflushed();
        Assert.Equal([2, 1, 0], _map.ByAge.Select(detail => (int)detail.Index));
        Assert.Equal([1, 2, 3], _map.ByAge.Select(detail => detail.DirtyFrom));
        Assert.Equal([(0, 15)], _map.Find(1)!.Dirty.Ranges.ToArray());
        Assert.Empty(_map.ByPush);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task LeastRecentlyWritten_ComesFirst_WhateverIsDirtyLongest()
    {
        for (int chunk = 0; chunk < 3; chunk++)
            Write(chunk, 0, 10);
        Write(0, 0, 10);
        Assert.Equal([1, 2, 0], _map.ByWrite.Select(detail => (int)detail.Index));
        Assert.Equal([0, 1, 2], _map.ByAge.Select(detail => (int)detail.Index));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task WholeAndCleanChunk_NeedsNoDetail_APartDoes()
    {
        _map.SetWhole(0);
        Write(0, 7, 8);
        Write(1, 7, 8);
        Assert.Equal(2, _map.DetailCount);
        Clean(0);
        Clean(1);
        Assert.Null(_map.Find(0));
        Assert.True(_map.Find(1)!.IsClean);
        _map.SetMissing(1);
        Assert.Equal((0, 0, 0), (_map.DetailCount, _map.PartialCount, _map.DirtyBytes));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task ZeroedUnderAPush_TheAnswerChangesNothing()
    {
        Write(1, 0, 10);
        var old = _map.Find(1)!;
        old.IsSending = true;
        long from = _map.StartSending(old);
        _map.SetZero(0, 4);
        _map.Zeroes.Add(0, 4, ZeroKind.Zero, ++_write);
        Assert.NotNull(_map.EndZero(1));
        Write(1, 0, Chunk);
        _map.EndSending(old, from, push: 1);
        Assert.Empty(_map.ByPush);
        Assert.Equal([(0, Chunk)], _map.Find(1)!.Dirty.Ranges.ToArray());
        Assert.Equal((1, 3, Chunk), (_map.WholeCount, _map.ZeroCount, _map.DirtyBytes));
        Assert.Equal((ChunkPresence.Zero, Chunk + 100L), Look(2 * Chunk));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task ManyDirtyRangesOfAWholeChunk_AreJoined_OfAPartTheyAreNot()
    {
        _map.SetWhole(0);
        for (int i = 0; i < 40; i++)
        {
            Write(0, i * 100, (i * 100) + 1);
            Write(1, i * 100, (i * 100) + 1);
        }

        Assert.Equal((16, 40), (_map.Find(0)!.Dirty.Count, _map.Find(1)!.Dirty.Count));
        return Task.CompletedTask;
    }

    private (ChunkPresence Presence, long Run) Look(long offset) => (_map.Look(offset, _map.Layout.Length - offset, out long run), run);

    private bool Write(long chunk, int start, int end) => _map.SetDirty(chunk, start, end, ++_write, now: _write);

    private void Send(long chunk, long push)
    {
        var detail = _map.Find(chunk)!;
        detail.IsSending = true;
        _map.EndSending(detail, _map.StartSending(detail), push);
    }

    private void Clean(long chunk)
    {
        Send(chunk, push: 99);
        _map.EndUnflushed(_map.ByPush.Single(detail => detail.Index == chunk));
    }
}
