using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit.Time;
using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>How well a mount fills a line, in virtual time: the same in every run.</summary>
public sealed class ManagedMountSpeedTests
{
    private const long Gigabit = 1_000_000_000;

    [Fact]
    public void ColdSequentialRead_TakesNineTenthsOfTheLine()
        => VirtualTime.Run(async clock =>
        {
            const int Length = 256 << 20;
            await using var mount = await OpenAsync(clock, Length, TimeSpan.FromMilliseconds(25), Gigabit, BackgroundPull.Everything);
            var time = await ReadAllAsync(mount, clock, 1 << 20);
            Assert.InRange(Length * 8.0 / time.TotalSeconds, 0.9 * Gigabit, Gigabit);
        });

    /// <summary>A writer that takes its time, 1 GB a second, so that a mount that waits until much is dirty loses some.</summary>
    [Theory]
    [InlineData(BackgroundPull.Nothing)]
    [InlineData(BackgroundPull.Everything)]
    public void WriteAndFlush_TakeNineTenthsOfTheLine(BackgroundPull pull)
        => VirtualTime.Run(async clock =>
        {
            const int Length = 256 << 20;
            await using var mount = await OpenAsync(clock, 2L * Length, TimeSpan.FromMilliseconds(25), Gigabit, pull);
            await Task.Delay(TimeSpan.FromMilliseconds(30), clock);
            byte[] buffer = new byte[1 << 20];
            var begun = clock.Now;
            for (long at = 0; at < Length; at += buffer.Length)
            {
                await mount.WriteAsync(at, buffer);
                await Task.Delay(TimeSpan.FromMilliseconds(1), clock);
            }

            await mount.FlushAsync();
            Assert.InRange(Length * 8.0 / (clock.Now - begun).TotalSeconds, 0.93 * Gigabit, Gigabit);
        });

    [Fact]
    public void SmallReadsOneByOne_OverAWideLine_AreReadAheadOf()
        => VirtualTime.Run(async clock =>
        {
            const int Length = 512 << 20;
            await using var mount = await OpenAsync(clock, Length, TimeSpan.FromMilliseconds(10), 10 * Gigabit, BackgroundPull.ReadAhead);
            var time = await ReadAllAsync(mount, clock, 128 << 10);
            Assert.InRange(Length / time.TotalSeconds, 400e6, 1250e6);
        });

    [Fact]
    public void FirstByte_ComesInOneRoundTrip_AndNextTimeInNone()
        => VirtualTime.Run(async clock =>
        {
            await using var mount = await OpenAsync(clock, 64 << 20, TimeSpan.FromMilliseconds(25), Gigabit, BackgroundPull.Nothing);
            await Task.Delay(TimeSpan.FromMilliseconds(30), clock);
            byte[] buffer = new byte[4096];
            var begun = clock.Now;
            await mount.ReadAsync(40 << 20, buffer);
            Assert.InRange((clock.Now - begun).TotalMilliseconds, 25, 27.5);
            Assert.True(mount.ReadAsync(40 << 20, buffer).IsCompletedSuccessfully);
            Assert.True(mount.WriteAsync(20 << 20, buffer).IsCompletedSuccessfully);
        });

    /// <summary>What nobody has asked for yet stands in front of a reader by no more than the queue that keeps the line full.</summary>
    [Fact]
    public void ReadsElsewhere_WhileEverythingIsPulled_WaitForAShortQueue()
        => VirtualTime.Run(async clock =>
        {
            await using var mount = await OpenAsync(clock, 512 << 20, TimeSpan.FromMilliseconds(25), Gigabit, BackgroundPull.Everything);
            byte[] buffer = new byte[4096];
            var times = new List<double>();
            for (int i = 0; i < 30; i++)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(37), clock);
                var begun = clock.Now;
                await mount.ReadAsync((480L << 20) - (i * (4L << 20)), buffer);
                times.Add((clock.Now - begun).TotalMilliseconds);
            }

            Assert.True(times.Max() < 75 && times.Order().ElementAt(15) < 30, string.Join(' ', times.Select(t => $"{t:0.0}")));
        });

    /// <summary>What is written is sent before anybody asks for that, but what is written over and over goes once, not each time.</summary>
    [Fact]
    public void ChunksThatKeepChanging_AreSentOnceAhead()
        => VirtualTime.Run(async clock =>
        {
            const int Length = 16 << 20;
            var remote = new CountingRemote(64 << 20, clock);
            await using var mount = await ManagedBackend.OpenAsync(
                remote, new ManagedMountOptions { Clock = clock, BackgroundPull = BackgroundPull.Nothing });
            byte[] buffer = new byte[1 << 20];
            for (int round = 0; round < 40; round++)
            {
                for (long at = 0; at < Length; at += buffer.Length)
                    await mount.WriteAsync(at, buffer);
                await Task.Delay(TimeSpan.FromMilliseconds(100), clock);
            }

            Assert.InRange(remote.Written, Length / 2, Length);
        });

    private static async Task<TimeSpan> ReadAllAsync(ManagedBackend mount, VirtualTimeProvider clock, int step)
    {
        byte[] buffer = new byte[step];
        var begun = clock.Now;
        for (long at = 0; at < mount.Length; at += step)
            await mount.ReadAsync(at, buffer);
        return clock.Now - begun;
    }

    private static async Task<ManagedBackend> OpenAsync(
        VirtualTimeProvider clock, long length, TimeSpan roundTrip, long rate, BackgroundPull pull)
    {
        var line = new LinkModel(new LinkOptions { RoundTripTime = roundTrip, UpRate = rate, DownRate = rate }, clock);
        return await ManagedBackend.OpenAsync(
            new SimulatedLinkStage(new MemoryBackend(length), line), new ManagedMountOptions { Clock = clock, BackgroundPull = pull });
    }
}
