using Farspan.Migration.Finalizing;
using Xunit;

namespace Farspan.Tests.Migration.Finalizing;

public sealed class WriteRhythmTests
{
    private static readonly TimeSpan s_cell = TimeSpan.FromMilliseconds(500);

    [Theory]
    [InlineData(20, 10)]
    [InlineData(5, 5)]
    [InlineData(3, 9)]
    public void RegularPhases_HaveTheirPeriod(int busy, int quiet)
    {
        var rhythm = Find(Samples((busy + quiet) * 3, second => second % (busy + quiet) < busy));
        Assert.NotNull(rhythm);
        Assert.NotNull(rhythm.Period);
        Assert.Equal(busy + quiet, rhythm.Period.Value.TotalSeconds, 0.5);
    }

    [Fact]
    public void InAQuietPhase_TellsHowMuchOfItIsLeft()
    {
        var rhythm = Find(Samples(86, second => second % 30 < 20))!;
        Assert.True(rhythm.IsQuiet);
        Assert.Equal(6, rhythm.Age.TotalSeconds, 0.6);
        Assert.Equal(4, rhythm.Left()!.Value.TotalSeconds, 0.6);
    }

    [Fact]
    public void InABusyPhase_TellsWhenTheNextQuietOneComes()
    {
        var rhythm = Find(Samples(95, second => second % 30 < 20))!;
        Assert.False(rhythm.IsQuiet);
        Assert.Equal(15, rhythm.Left()!.Value.TotalSeconds, 0.6);
    }

    [Fact]
    public void PhasesWithoutAPeriod_TellTheirMeanLengths()
    {
        // Busy for 3, 11, 5 and 9 seconds, quiet for 4 in between, and quiet at the end.
        bool[] busy = [.. new[] { 2, 3, 11, 5, 9 }.SelectMany((length, i) => Enumerable.Repeat(true, length).Concat(Enumerable.Repeat(false, i == 4 ? 1 : 4)))];
        var rhythm = Find(Samples(busy.Length, second => busy[(int)second]))!;
        Assert.Equal(7, rhythm.MeanLength(quiet: false)!.Value.TotalSeconds, 0.3);
        Assert.Equal(4, rhythm.MeanLength(quiet: true)!.Value.TotalSeconds, 0.3);
        Assert.True(rhythm.IsQuiet);
    }

    [Fact]
    public void FirstQuietPhase_IsSeenAndItsLengthIsNot()
    {
        var rhythm = Find(Samples(14, second => second < 12))!;
        Assert.True(rhythm.IsQuiet);
        Assert.Null(rhythm.Period);
        Assert.Null(rhythm.Left());
        Assert.Null(rhythm.MeanLength(quiet: true));
    }

    [Fact]
    public void ConstantLoad_HasNoRhythm() => Assert.Null(Find(Samples(100, _ => true)));

    [Fact]
    public void SamplesOfOtherLengths_TellTheSame()
    {
        var uneven = new List<WriteSample>();
        double at = 0;
        for (int i = 0; at < 100; i++)
        {
            double length = 0.2 + i * 7 % 5 * 0.1;
            at += length;
            uneven.Add(Sample(at, length, at % 30 < 20));
        }

        Assert.Equal(30, Find(uneven)!.Period!.Value.TotalSeconds, 0.6);
    }

    private static WriteRhythm? Find(IReadOnlyList<WriteSample> samples) => WriteRhythm.Find(samples, s_cell, 3);

    private static List<WriteSample> Samples(double seconds, Func<double, bool> busy)
    {
        var samples = new List<WriteSample>();
        for (double at = 0.5; at <= seconds; at += 0.5)
            samples.Add(Sample(at, 0.5, busy(at - 0.25)));
        return samples;
    }

    private static WriteSample Sample(double at, double length, bool busy)
        => new(TimeSpan.FromSeconds(at), TimeSpan.FromSeconds(length), (long)((busy ? 60e6 : 1e6) * length));
}
