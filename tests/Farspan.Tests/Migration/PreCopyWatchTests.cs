using Farspan.Migration;
using Farspan.Migration.Finalizing;
using Xunit;

namespace Farspan.Tests.Migration;

public sealed class PreCopyWatchTests
{
    [Fact]
    public void WhatAPolicyKeeps_NeverChanges()
    {
        var watch = new PreCopyWatch(TimeProvider.System, regionBytes: 1 << 20);
        watch.Begin(sent: 0);
        watch.TookRound(1);
        var kept = Samples(watch);
        Assert.Same(kept, Samples(watch));
        for (int round = 2; round < 400; round++)
            watch.TookRound(round);
        var latest = Samples(watch);
        watch.Begin(sent: 0);
        Assert.Equal([1], kept.Select(static sample => sample.ChangedBytes));
        Assert.Equal(Enumerable.Range(400 - latest.Count, latest.Count).Select(static bytes => (long)bytes), latest.Select(static sample => sample.ChangedBytes));
        Assert.Empty(Samples(watch));
        Assert.Throws<NotSupportedException>(() => ((IList<WriteSample>)kept).Clear());
    }

    private static IReadOnlyList<WriteSample> Samples(PreCopyWatch watch) => watch.Progress(rounds: 1, missing: 0, sent: 0, rate: 0).Samples;
}
