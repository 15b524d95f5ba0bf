using Farspan.Nbd.Client;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

public sealed class ReplayPlanTests
{
    [Fact(Timeout = 120_000)]
    public async Task Pieces_DoNotOverlap_AndHoldTheLastBytes()
    {
        await Task.Yield();
        for (int seed = 0; seed < 2000; seed++)
        {
            var random = new Random(seed);
            byte[] expected = new byte[200];
            bool[] written = new bool[200];
            var writes = new List<UnflushedWrite>();
            for (int i = 1; i <= random.Next(30); i++)
            {
                int offset = random.Next(200);
                int length = 1 + random.Next(Math.Min(200 - offset, 1 + random.Next(80)));
                byte[] data = random.Next(4) == 0 ? [] : BackendModel.Bytes((seed * 100) + i, length);
                writes.Add(new UnflushedWrite { Offset = offset, Length = length, Data = data, Sequence = i });
                if (data.Length == 0)
                    Array.Clear(expected, offset, length);
                data.CopyTo(expected, offset);
                written.AsSpan(offset, length).Fill(true);
            }

            byte[] actual = new byte[200];
            bool[] covered = new bool[200];
            foreach (var piece in ReplayPlan.Make(writes))
            {
                for (long i = piece.Offset; i < piece.Offset + piece.Length; i++)
                {
                    Assert.False(covered[i]);
                    covered[i] = true;
                    actual[i] = piece.IsZero ? (byte)0 : piece.Data.Span[(int)(i - piece.Offset)];
                }
            }

            Assert.Equal(written, covered);
            Assert.Equal(expected, actual);
        }
    }
}
