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

    [Fact]
    public void WriteAndFlush_TakeNineTenthsOfTheLine()
        => VirtualTime.Run(async clock =>
        {
            const int Length = 256 << 20;
            await using var mount = await OpenAsync(clock, Length, TimeSpan.FromMilliseconds(25), Gigabit, BackgroundPull.Nothing);
            byte[] buffer = new byte[1 << 20];
            var begun = clock.Now;
            for (long at = 0; at < Length; at += buffer.Length)
                await mount.WriteAsync(at, buffer);
            await mount.FlushAsync();
            Assert.InRange(Length * 8.0 / (clock.Now - begun).TotalSeconds, 0.9 * Gigabit, Gigabit);
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
