using Farspan.Nbd.Client;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

public sealed class UnflushedWritesTests
{
    [Fact(Timeout = 120_000)]
    public async Task RandomUse_NeverMixesBytes_AndGivesAllRoomBack()
    {
        await Task.Yield();
        for (int seed = 0; seed < 300; seed++)
        {
            const int Budget = 64 << 10;
            var random = new Random(seed);
            var kept = new UnflushedWrites(Budget);
            long mark = 0;
            var underway = new List<(UnflushedWrite Write, byte[] Data)>();
            var acknowledged = new List<(UnflushedWrite Write, byte[] Data)>();
            for (int step = 0; step < 400; step++)
            {
                switch (random.Next(4))
                {
                    case 0 or 1:
                        byte[] data = BackendModel.Bytes(step, random.Next(6000));
                        if (kept.TryReserve(data.Length, out var write))
                        {
                            data.CopyTo(write.Data);
                            underway.Add((write, data));
                        }

                        break;
                    case 2 when underway.Count > 0:
                        int index = random.Next(underway.Count);
                        var entry = underway[index];
                        underway.RemoveAt(index);
                        Assert.Equal(entry.Data, entry.Write.Data.ToArray());
                        if (random.Next(5) == 0)
                        {
                            kept.Drop(entry.Write);
                        }
                        else
                        {
                            kept.Acknowledge(entry.Write, ++mark);
                            acknowledged.Add(entry);
                        }

                        break;
                    case 3 when random.Next(6) == 0:
                        int count = random.Next(acknowledged.Count + 1);
                        if (count > 0)
                            kept.Release(acknowledged[count - 1].Write.Sequence);
                        acknowledged.RemoveRange(0, count);
                        break;
                }

                Assert.Equal(acknowledged.Select(a => a.Write), kept.Acknowledged());
                foreach (var (write, data) in acknowledged)
                    Assert.Equal(data, write.Data.ToArray());
            }

            foreach (var (write, _) in underway)
                kept.Drop(write);
            kept.Release(mark);
            Assert.True(kept.IsEmpty);
            Assert.Equal(0, kept.Flushable);
            Assert.True(kept.TryReserve(Budget, out _));
            Assert.False(kept.TryReserve(0, out _));
        }
    }
}
