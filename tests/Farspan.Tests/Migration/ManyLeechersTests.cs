using Farspan.Backends;
using Farspan.Migration;
using Farspan.Migration.Finalizing;
using Farspan.TestKit.Simulation;
using Farspan.TestKit.Time;
using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Migration;

/// <summary>Several regions move over one line at once, in virtual time.</summary>
public sealed class ManyLeechersTests
{
    private const int ChunkSize = 64 << 10;
    private const int Mebibyte = 1 << 20;

    // Of 20 MB/s, with 25 ms there and back.
    private const double Rate = 20e6;
    private static readonly TimeSpan s_roundTrip = TimeSpan.FromMilliseconds(25);
    private static readonly LinkOptions s_line = new() { RoundTripTime = s_roundTrip, UpRate = (long)(8 * Rate), DownRate = (long)(8 * Rate) };

    [Theory(Timeout = 300_000)]
    [InlineData(2, 80, 0)]
    [InlineData(3, 60, 0)]
    [InlineData(10, 24, 0)]
    [InlineData(2, 110, 2)]
    [InlineData(3, 80, 1)]
    [InlineData(10, 24, 0.2)]
    public Task AllComplete_AndEachGetsItsPart(int count, int mebibytes, double secondsBetween) => RunAsync(async clock =>
    {
        await using var world = await World.OpenAsync(clock, count, mebibytes * Mebibyte);
        var leechers = new List<Leecher>();
        for (int i = 0; i < count; i++)
        {
            leechers.Add(await world.LeechAsync(i, new FixedFinalize(TimeSpan.FromSeconds(i % 2 == 0 ? 4 : 30))));
            await Task.Delay(TimeSpan.FromSeconds(secondsBetween), clock);
        }

        // What all of them copy, some before and some after the hand-over, once the last has found its place, and while none is near its end.
        await Task.Delay(TimeSpan.FromSeconds(2), clock);
        long[] before = world.Received(leechers);
        await Task.Delay(TimeSpan.FromSeconds(4), clock);
        double[] got = [.. world.Received(leechers).Zip(before, (after, at) => (double)(after - at))];
        Assert.All(leechers, leecher => Assert.True(leecher.Status.MissingBytes > 0, "It ended too early to tell anything."));
        Assert.True(got.Min() >= 0.5 * got.Average(), string.Join(", ", got.Select(bytes => $"{bytes / got.Average():0.00}")));
        Assert.True(got.Sum() >= 0.8 * Rate * 4, $"{got.Sum() / 4e6} MB/s");

        foreach (var leecher in leechers)
            Assert.True(await leecher.Completed);
        await world.CheckAsync(leechers);
        foreach (var leecher in leechers)
            await leecher.DisposeAsync();
    });

    [Theory(Timeout = 300_000)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(9)]
    public Task WhatAProgramWaitsFor_HardlyWaitsForWhatOthersCopy(int others) => RunAsync(async clock =>
    {
        await using var world = await World.OpenAsync(clock, others + 1, 32 * Mebibyte);
        var leechers = new List<Leecher>();
        for (int i = 1; i <= others; i++)
            leechers.Add(await world.LeechAsync(i, new ManualFinalize()));
        await Task.Delay(TimeSpan.FromSeconds(1), clock);
        var small = await world.LeechAsync(0, new FixedFinalize(TimeSpan.Zero));
        leechers.Insert(0, small);
        while (!small.Accepted.IsCompleted)
            await Task.Delay(TimeSpan.FromMilliseconds(1), clock);

        var random = new Random(5);
        var waits = new List<double>();
        for (int i = 0; i < 30; i++)
        {
            long began = clock.GetTimestamp();
            await small.Backend.ReadAsync(random.Next(32 * 16) * ChunkSize, new byte[512]);
            double wait = clock.GetElapsedTime(began).TotalMilliseconds;
            if (wait > 1)
                waits.Add(wait);
        }

        Assert.Contains(leechers.Skip(1), leecher => leecher.Status.MissingBytes > 0);
        Assert.True(waits.Count > 10, $"{waits.Count} reads waited.");

        // A round trip, and what is allowed to queue: a moment, and a request or two of each of the others.
        double most = s_roundTrip.TotalMilliseconds + 100 + ((others + 1) * 3 * ChunkSize / Rate * 1000);
        Assert.True(waits.Max() <= most, $"{waits.Max():0} ms of at most {most:0}; median {waits.Order().ElementAt(waits.Count / 2):0}.");
        foreach (var leecher in leechers)
            await leecher.DisposeAsync();
    });

    [Fact(Timeout = 300_000)]
    public Task OneThatTakesNothingAnyMore_HoldsNoneOfTheOthersUp() => RunAsync(async clock =>
    {
        await using var world = await World.OpenAsync(clock, 3, 32 * Mebibyte);
        var leechers = new List<Leecher>();
        for (int i = 0; i < 3; i++)
            leechers.Add(await world.LeechAsync(i, new FixedFinalize(TimeSpan.Zero)));
        await Task.Delay(TimeSpan.FromSeconds(1), clock);
        world.Lines[0].IsRead = false;
        long before = leechers[0].Status.ReceivedBytes;
        long began = clock.GetTimestamp();
        for (int i = 1; i < 3; i++)
            Assert.True(await leechers[i].Completed);

        // With two thirds of the line for all they need, and with all of it once the third one is still.
        Assert.InRange(clock.GetElapsedTime(began).TotalSeconds, 0, 3 * 32 * Mebibyte / Rate * 1.3);
        Assert.True(world.Lines[0].Untaken > 0);
        Assert.Equal(before, leechers[0].Status.ReceivedBytes);

        world.Lines[0].ReadAgain();
        Assert.True(await leechers[0].Completed);
        await world.CheckAsync(leechers);
        foreach (var leecher in leechers)
            await leecher.DisposeAsync();
    });

    private static async Task RunAsync(Func<VirtualTimeProvider, Task> test)
    {
        await Task.CompletedTask;
        VirtualTime.Run(test);
    }

    /// <summary>Regions at a source, all of them behind one line.</summary>
    private sealed class World : IAsyncDisposable
    {
        private readonly TimeProvider _clock;
        private readonly List<Seeder> _seeders = [];

        private World(TimeProvider clock) => _clock = clock;

        public List<SharedLine> Lines { get; } = [];

        /// <summary>Regions of one length; the last is twice as long.</summary>
        public static async Task<World> OpenAsync(TimeProvider clock, int count, int regionLength)
        {
            var world = new World(clock);
            var link = new LinkModel(s_line, clock);
            for (int i = 0; i < count; i++)
            {
                int length = i < count - 1 ? regionLength : 2 * regionLength;
                var store = new MemoryBackend(length);
                await store.WriteAsync(0, BytesOf(i, length));
                var seeder = await Seeder.OpenAsync(
                    new SimulatedDisk(i, clock).Open(), store, new FreeHost(), new SeederOptions { ChunkSize = ChunkSize, Clock = clock });
                world._seeders.Add(seeder);
                world.Lines.Add(new SharedLine(link, seeder));
            }

            return world;
        }

        public ValueTask<Leecher> LeechAsync(int index, IFinalizePolicy policy) => Leecher.OpenAsync(
            new SimulatedDisk(100 + index, _clock).Open(), new MemoryBackend(_seeders[index].Description.Length), Lines[index], new FreeHost(),
            new LeecherOptions { Clock = _clock, Policy = policy });

        public long[] Received(List<Leecher> leechers) => [.. leechers.Select(leecher => leecher.Status.ReceivedBytes)];

        public async Task CheckAsync(List<Leecher> leechers)
        {
            for (int i = 0; i < leechers.Count; i++)
            {
                byte[] bytes = new byte[leechers[i].Backend.Length];
                await leechers[i].Backend.ReadAsync(0, bytes);
                Assert.True(bytes.AsSpan().SequenceEqual(BytesOf(i, bytes.Length)));
            }
        }

        private static byte[] BytesOf(int index, int length)
        {
            byte[] bytes = new byte[length];
            new Random(index).NextBytes(bytes);
            return bytes;
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var seeder in _seeders)
                await seeder.DisposeAsync();
        }
    }
}
