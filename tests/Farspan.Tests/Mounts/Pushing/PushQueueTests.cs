using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts;
using Farspan.Mounts.Caching;
using Farspan.Mounts.Pushing;
using Xunit;

namespace Farspan.Tests.Mounts.Pushing;

public sealed class PushQueueTests
{
    private const int Chunk = 4096;
    private readonly MountCore _mount;
    private readonly PushQueue _queue;

    public PushQueueTests()
    {
        var remote = new MemoryBackend(64 * Chunk);
        _mount = new MountCore(remote, new MemoryChunkCache(new ChunkLayout(remote.Length, Chunk)), new ManagedMountOptions { ChunkSize = Chunk });
        _queue = new PushQueue(_mount);
    }

    [Fact(Timeout = 60_000)]
    public Task NothingWanted_NothingGoes()
    {
        Write(3);
        Assert.Null(_queue.Pick(target: 0, isUrgent: false, isSettled: null, most: 8));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task ForAFlush_TheOldestDirtGoesFirst_AndNothingWrittenAfterIt()
    {
        Write(30);
        Write(10);
        long target = _mount.LastWrite;
        Write(30);
        Write(50);
        Assert.Equal((30, 30), Pick(target));
        Assert.Equal((10, 10), Pick(target));
        Assert.Null(Pick(target));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task OtherwiseTheLeastRecentlyWrittenGoesFirst()
    {
        Write(30);
        Write(10);
        Write(30);
        Assert.Equal((10, 10), Pick(isUrgent: true));
        Assert.Equal((30, 30), Pick(isUrgent: true));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task WhatIsChangingAllTheTime_IsLeftOutOfASweep_UntilItSettles()
    {
        Write(10);
        Write(30);
        Assert.Equal((10, 10), Pick(isSettled: chunk => chunk.Index == 10));
        Assert.Null(Pick(isSettled: chunk => chunk.Index == 10));
        Assert.Equal((30, 30), Pick(isSettled: _ => true));

        // Dirty longest, though not written least recently.
        Write(40);
        Write(41);
        Write(40);
        Assert.Equal((40, 40), Pick(isSettled: chunk => chunk.Index != 41));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task Neighbours_GoTogether_UpToTheMost()
    {
        foreach (int chunk in new[] { 12, 10, 11, 9, 14, 13 })
            Write(chunk);
        Assert.Equal((9, 12), Pick(target: long.MaxValue, most: 4));
        Assert.Equal((13, 14), Pick(target: long.MaxValue, most: 4));
        Write(20, start: 0, end: 10);
        Write(21, start: 5, end: 7);
        Assert.Equal(12, _queue.Pick(long.MaxValue, isUrgent: false, isSettled: null, most: 4)!.Bytes);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task NoPlaceIsSentTwiceAtOnce_NeitherBytesNorZeroes()
    {
        Write(10);
        var bytes = _queue.Pick(long.MaxValue, isUrgent: false, isSettled: null, most: 8)!;
        bytes.Taken.Add(_mount.Map.StartSending(bytes.Chunks[0]));
        Write(10);
        Assert.Null(Pick(target: long.MaxValue));

        // Made zero around it: the zeroes before it may go.
        Zero(8, 5);
        Assert.Equal((8, 9), Pick(target: long.MaxValue));
        Assert.Null(Pick(target: long.MaxValue));
        _queue.Ended(bytes);
        _mount.Map.EndSending(bytes.Chunks[0], bytes.Taken[0]!.Value, push: 1);
        Assert.Equal((10, 12), Pick(target: long.MaxValue));

        // And bytes wait for zeroes.
        Assert.NotNull(_mount.Map.EndZero(11));
        Write(11);
        Assert.Null(Pick(target: long.MaxValue));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task SentUpTo_StopsBeforeTheFirstWriteThatIsNotAnswered()
    {
        Assert.Equal(0, _queue.SentUpTo);
        Write(1);
        Write(20);
        Zero(40, 2);
        Write(60);
        Assert.Equal(0, _queue.SentUpTo);
        var zero = _queue.Pick(long.MaxValue, isUrgent: false, isSettled: null, most: 1)!;
        var first = _queue.Pick(long.MaxValue, isUrgent: false, isSettled: null, most: 1)!;
        Assert.Equal((3, 1), (zero.From, first.From));
        first.Taken.Add(_mount.Map.StartSending(first.Chunks[0]));
        Assert.Equal(0, _queue.SentUpTo);
        _queue.Ended(first);
        _mount.Map.EndSending(first.Chunks[0], first.Taken[0]!.Value, push: 1);
        Assert.Equal(1, _queue.SentUpTo);
        var second = _queue.Pick(long.MaxValue, isUrgent: false, isSettled: null, most: 1)!;
        second.Taken.Add(_mount.Map.StartSending(second.Chunks[0]));
        _queue.Ended(second);
        _mount.Map.EndSending(second.Chunks[0], second.Taken[0]!.Value, push: 2);
        Assert.Equal(2, _queue.SentUpTo);
        _queue.Ended(zero);
        _mount.Map.Zeroes.Sent(zero.Zero!.Value, push: 3);
        Assert.Equal(3, _queue.SentUpTo);
        return Task.CompletedTask;
    }

    private void Write(long chunk, int start = 0, int end = Chunk) => _mount.Map.SetDirty(chunk, start, end, ++_mount.LastWrite, now: _mount.LastWrite);

    private void Zero(long first, long count)
    {
        _mount.Map.SetZero(first, count);
        _mount.Map.Zeroes.Add(first, count, ZeroKind.Zero, ++_mount.LastWrite);
    }

    private (long First, long Last)? Pick(long target = 0, bool isUrgent = false, Func<ChunkDetail, bool>? isSettled = null, long most = 8)
        => _queue.Pick(target, isUrgent, isSettled, most) is { } push ? (push.FirstChunk, push.LastChunk) : null;
}
