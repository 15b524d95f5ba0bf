using Farspan.Mounts.Pulling;
using Xunit;

namespace Farspan.Tests.Mounts.Pulling;

public sealed class ReadAheadTests
{
    private const int KiB = 1 << 10;
    private const long MiB = 1 << 20;
    private readonly ReadAhead _ahead = new(length: 100 * MiB, longest: 4 * MiB);

    [Fact(Timeout = 60_000)]
    public Task OneRead_IsNoReader_TheNextInLineIs()
    {
        Assert.False(_ahead.Observe(0, 4 * KiB));
        Assert.Null(Next());
        Assert.True(_ahead.Observe(4 * KiB, 4 * KiB));
        Assert.Equal((8 * KiB, 512 * KiB), Next());
        Assert.Null(Next());
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task Distance_Doubles_UpToTheLongest()
    {
        var reached = new List<long>();
        long ahead = 0;
        for (long at = 0; at < 12 * MiB; at += 128 * KiB)
        {
            _ahead.Observe(at, 128 * KiB);
            while (Next() is { } next)
                ahead = next.Offset + next.Length;
            reached.Add(Math.Max(0, ahead - at - (128 * KiB)));
        }

        Assert.Equal([0, 512 * KiB, 1 * MiB, 2 * MiB, 4 * MiB], reached.Distinct());
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task WhatIsAskedFor_IsCutToTheMost_FollowsItself_AndEndsWithTheRegion()
    {
        _ahead.Observe((100 * MiB) - (300 * KiB), 4 * KiB);
        _ahead.Observe((100 * MiB) - (296 * KiB), 4 * KiB);
        Assert.Equal(((100 * MiB) - (292 * KiB), 200 * KiB), Next(200 * KiB));
        Assert.Equal(((100 * MiB) - (92 * KiB), 92 * KiB), Next(200 * KiB));
        Assert.Null(Next());
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task RandomReads_AreNoReaders()
    {
        var random = new Random(1);
        for (int i = 0; i < 500; i++)
        {
            Assert.False(_ahead.Observe(random.NextInt64(99 * MiB), 4 * KiB));
            Assert.Null(Next());
        }

        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task SixteenReaders_AreFollowedAtOnce_InAnyTurn_AndOneThatSkipsALittleToo()
    {
        for (int step = 0; step < 2; step++)
        {
            for (int reader = 0; reader < 16; reader++)
                _ahead.Observe(Place(reader) + (step * 4 * KiB), 4 * KiB);
        }

        var found = new List<long>();
        while (Next() is { } next)
            found.Add(next.Offset);
        Assert.Equal(Enumerable.Range(0, 16).Select(reader => Place(reader) + (8 * KiB)), found.Order());

        // Requests of a reader with several in flight come in another order.
        Assert.True(_ahead.Observe(Place(1) + (12 * KiB), 4 * KiB));
        Assert.True(_ahead.Observe(Place(1) + (8 * KiB), 4 * KiB));
        Assert.Equal((Place(1) + (520 * KiB), 520 * KiB), Next());
        return Task.CompletedTask;

        // No three of them are at regular steps.
        static long Place(int reader) => (reader * 6 * MiB) + (reader * reader * 8 * KiB);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(64 * KiB)]
    [InlineData(-64 * KiB)]
    public Task Strides_EitherWay_AreFollowed_NotBeyondTheRegion(int stride)
    {
        long at = 50 * MiB;
        for (int i = 0; i < 4; i++, at += stride)
            Assert.Equal(i >= 3, _ahead.Observe(at, 4 * KiB));
        Assert.Equal((at, 4 * KiB), Next());
        for (long edge = stride > 0 ? (100 * MiB) - (4 * stride) : -3 * stride; edge >= 0 && edge < 100 * MiB; edge += stride)
        {
            _ahead.Observe(edge, 4 * KiB);
            while (Next() is { } next)
            {
                Assert.InRange(next.Length, 1, 4 * KiB);
                Assert.InRange(next.Offset, 0, (100 * MiB) - next.Length);
            }
        }

        return Task.CompletedTask;
    }

    private (long Offset, long Length)? Next(long most = long.MaxValue) => _ahead.TryNext(most, out long offset, out long length) ? (offset, length) : null;
}
