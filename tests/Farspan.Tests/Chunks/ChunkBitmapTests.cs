using Farspan.Chunks;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Chunks;

public sealed class ChunkBitmapTests
{
    [Fact]
    public void AnySteps_MatchTheModel()
    {
        var step =
            from what in Gen.Choose(0, 3)
            from first in Gen.Choose(0, 299)
            from count in Gen.Choose(0, 300 - first)
            select (what, first, count);
        Prop.ForAll(step.ArrayOf().ToArbitrary(), steps =>
        {
            var bitmap = new ChunkBitmap(300);
            var model = new bool[300];
            foreach (var (what, first, count) in steps)
            {
                switch (what)
                {
                    case 0:
                        bitmap.Set(first, count);
                        Array.Fill(model, value: true, first, count);
                        break;
                    case 1:
                        bitmap.Clear(first, count);
                        Array.Clear(model, first, count);
                        break;
                    case 2:
                        Assert.Equal(model.AsSpan(first, count).Contains(value: true), bitmap.Any(first, count));
                        break;
                    default:
                        var taken = bitmap.TakeAll();
                        Assert.Equal(Indexes(model), taken.SetChunks());
                        Assert.True(bitmap.IsEmpty);
                        Array.Clear(model);
                        break;
                }

                Assert.Equal(Indexes(model), bitmap.SetChunks());
                Assert.Equal(model.Count(b => b), bitmap.Count);
                Assert.Equal(model[first], bitmap[first]);
                Assert.Equal(Array.IndexOf(model, value: true, first), bitmap.NextSet(first));
            }
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void OutOfRange_Throws()
    {
        var bitmap = new ChunkBitmap(65);
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap[65]);
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap[-1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.Set(64, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.Clear(0, 66));
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.Any(-1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.Set(0, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.Set(long.MaxValue, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ChunkBitmap(-1));
        Assert.Equal(-1, bitmap.NextSet(65));
        Assert.Equal(-1, new ChunkBitmap(0).NextSet(0));
    }

    [Fact]
    public void OneTebibyteInChunksOf64KiB_TakesTwoMebibytes()
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        var bitmap = new ChunkBitmap(new ChunkLayout(1L << 40, 64 << 10).ChunkCount);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 2 << 20, (2 << 20) + 1024);
        bitmap.Set(bitmap.ChunkCount - 1);
        Assert.Equal(bitmap.ChunkCount - 1, bitmap.NextSet(0));
    }

    [Fact(Timeout = 120_000)]
    public async Task BitsSetWhileAllAreTaken_AreInOneTakingExactly()
    {
        var bitmap = new ChunkBitmap(4096);
        const int Setters = 3;
        var setting = Enumerable.Range(0, Setters).Select(setter => Task.Run(() =>
        {
            for (int i = setter; i < 4096; i += Setters)
                bitmap.Set(i);
        })).ToArray();
        var seen = new List<long>();
        while (!setting.All(task => task.IsCompleted))
            seen.AddRange(bitmap.TakeAll().SetChunks());
        await Task.WhenAll(setting);
        seen.AddRange(bitmap.TakeAll().SetChunks());
        Assert.Equal(Enumerable.Range(0, 4096).Select(i => (long)i), seen.Order());
    }

    private static List<long> Indexes(bool[] model) => [.. Enumerable.Range(0, model.Length).Where(i => model[i]).Select(i => (long)i)];
}
