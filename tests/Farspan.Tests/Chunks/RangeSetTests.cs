using Farspan.Chunks;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Chunks;

public sealed class RangeSetTests
{
    private const int Length = 40;

    [Fact(Timeout = 120_000)]
    public Task AnyChanges_MatchAnArrayOfFlags()
    {
        var change = from adds in Gen.Elements(true, true, false)
                     from start in Gen.Choose(0, Length)
                     from end in Gen.Choose(start, Length)
                     select (adds, start, end);
        Prop.ForAll(change.ListOf().ToArbitrary(), changes =>
        {
            bool[] flags = new bool[Length];
            var set = new RangeSet();
            foreach (var (adds, start, end) in changes)
            {
                flags.AsSpan(start, end - start).Fill(adds);
                if (adds)
                    set.Add(start, end);
                else
                    set.Remove(start, end);
                AssertSame(flags, set);
            }

            for (int start = 0; start < Length; start++)
            {
                for (int end = start + 1; end <= Length; end++)
                {
                    Assert.Equal(flags.AsSpan(start, end - start).IndexOf(false) < 0, set.Covers(start, end));
                    AssertSame([.. flags.Select((flag, i) => flag && i >= start && i < end)], set.Intersect(start, end));
                }
            }
        }).QuickCheckThrowOnFailure();
        return Task.CompletedTask;
    }

    private static void AssertSame(bool[] flags, RangeSet set)
    {
        bool[] actual = new bool[Length];
        int last = -1;
        foreach (var (start, end) in set.Ranges)
        {
            Assert.True(start > last && end > start, "Ranges rise, are not empty and do not touch.");
            actual.AsSpan(start, end - start).Fill(true);
            last = end;
        }

        Assert.Equal(flags, actual);
    }
}
