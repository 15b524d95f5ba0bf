using Farspan.Nbd.Client;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

public sealed class LostRangesTests
{
    [Fact(Timeout = 120_000)]
    public async Task RandomUse_KnowsEveryByte()
    {
        await Task.Yield();
        for (int seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var ranges = new LostRanges();
            bool[] lost = new bool[100];
            for (int step = 0; step < 60; step++)
            {
                int offset = random.Next(lost.Length);
                int length = 1 + random.Next(Math.Min(30, lost.Length - offset));
                bool adds = random.Next(2) == 0;
                lost.AsSpan(offset, length).Fill(adds);
                if (adds)
                    ranges.Add(offset, length);
                else
                    ranges.Remove(offset, length);
                Assert.Equal(lost.AsSpan().IndexOf(true) < 0, ranges.IsEmpty);
                if (!ranges.IsEmpty)
                    Assert.Equal(lost.AsSpan().IndexOf(true), ranges.First.Start);
                for (int at = 0; at < lost.Length; at++)
                {
                    int count = 1 + random.Next(Math.Min(5, lost.Length - at));
                    Assert.Equal(lost.AsSpan(at, count).Contains(value: true), ranges.Overlaps(at, count));
                }
            }
        }
    }
}
