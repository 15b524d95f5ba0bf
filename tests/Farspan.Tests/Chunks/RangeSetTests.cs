using Farspan.Chunks;
using Xunit;

namespace Farspan.Tests.Chunks;

/// <summary>Random changes of a set of ranges against a plain array of marks.</summary>
public sealed class RangeSetTests
{
    private const int Length = 97;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void RandomChanges_MatchAnArrayOfMarks(int seed)
    {
        var random = new Random(seed);
        var set = new RangeSet();
        var marks = new bool[Length];
        for (int step = 0; step < 4000; step++)
        {
            int start = random.Next(Length);
            int end = random.Next(start, Math.Min(Length, start + 20) + 1);
            switch (random.Next(8))
            {
                case < 3:
                    set.Add(start, end);
                    marks.AsSpan(start, end - start).Fill(true);
                    break;
                case < 6:
                    set.Remove(start, end);
                    marks.AsSpan(start, end - start).Clear();
                    break;
                case 6 when set.Count > 1:
                    Join(set, marks);
                    break;
                default:
                    Assert.Equal(end > start && !marks.AsSpan(start, end - start).Contains(false), end > start && set.Covers(start, end));
                    Check(set.Intersect(start, end), i => i >= start && i < end && marks[i]);
                    Check(set.Gaps(start, end), i => i >= start && i < end && !marks[i]);
                    break;
            }

            Check(set, i => marks[i]);
        }
    }

    private static void Join(RangeSet set, bool[] marks)
    {
        var before = set.Ranges.ToArray();
        int least = Enumerable.Range(1, before.Length - 1).Min(i => before[i].Start - before[i - 1].End);
        set.JoinNearest();
        Assert.Equal(before.Length - 1, set.Count);
        Assert.Equal(least, set.TotalLength - before.Sum(r => r.End - r.Start));
        foreach (var (start, end) in set.Ranges)
            marks.AsSpan(start, end - start).Fill(true);
    }

    private static void Check(RangeSet set, Func<int, bool> isIn)
    {
        var actual = new bool[Length];
        int last = -1;
        foreach (var (start, end) in set.Ranges)
        {
            Assert.True(start > last && end > start, "Ranges touch or are out of order.");
            actual.AsSpan(start, end - start).Fill(true);
            last = end;
        }

        Assert.Equal(Enumerable.Range(0, Length).Select(isIn), actual);
        Assert.Equal(actual.Count(mark => mark), set.TotalLength);
    }
}
