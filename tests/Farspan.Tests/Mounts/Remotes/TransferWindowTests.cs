using Farspan.Mounts.Remotes;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Mounts.Remotes;

public sealed class TransferWindowTests
{
    private const long MiB = 1 << 20;
    private readonly VirtualTimeProvider _clock = new();

    [Fact(Timeout = 60_000)]
    public Task OneRequestAlwaysFits_HoweverLong()
    {
        var window = new TransferWindow(_clock, unit: 64 << 10, smallest: MiB, largest: 8 * MiB);
        Assert.True(window.HasRoom(100 * MiB));
        var ticket = window.Begin(100 * MiB);
        Assert.False(window.HasRoom(1));
        window.End(ticket, isDelivered: true);
        Assert.True(window.HasRoom(100 * MiB));
        Assert.Equal((0, 100 * MiB), (window.InFlight, window.Delivered));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task WhatFailed_IsNotDelivered_AndTeachesNothing()
    {
        var window = new TransferWindow(_clock, unit: 64 << 10, smallest: MiB, largest: 8 * MiB);
        long limit = window.Limit;
        for (int i = 0; i < 10; i++)
        {
            var ticket = window.Begin(MiB);
            Assert.False(window.HasRoom(MiB));
            _clock.Advance(TimeSpan.FromMilliseconds(1));
            window.End(ticket, isDelivered: false);
        }

        Assert.Equal((limit, 0, 0), (window.Limit, window.Delivered, window.Rate));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task FixedNumber_CountsRequests_UnderTheLargest()
    {
        var window = new TransferWindow(_clock, unit: 64 << 10, smallest: MiB, largest: 8 * MiB, fixedRequests: 3);
        for (int i = 0; i < 3; i++)
        {
            Assert.True(window.HasRoom(MiB));
            window.Begin(MiB);
        }

        Assert.False(window.HasRoom(1));
        var wide = new TransferWindow(_clock, unit: 64 << 10, smallest: MiB, largest: 8 * MiB, fixedRequests: 100);
        wide.Begin(7 * MiB);
        Assert.True(wide.HasRoom(MiB));
        Assert.False(wide.HasRoom(MiB + 1));
        return Task.CompletedTask;
    }

    /// <summary>The line is filled, and what waits in it is at most what the product, or a twentieth of a second, and a request or two come to.</summary>
    [Theory(Timeout = 60_000)]
    [InlineData(1e6, 20)]
    [InlineData(1e6, 200)]
    [InlineData(10e6, 20)]
    [InlineData(125e6, 25)]
    [InlineData(125e6, 1)]
    [InlineData(1250e6, 10)]
    public Task AnyLine_IsFilled_AndHardlyMore(double rate, double milliseconds)
    {
        var line = new Line(_clock, new TransferWindow(_clock, unit: 64 << 10, smallest: 2 * MiB, largest: 48 * MiB), rate, TimeSpan.FromMilliseconds(milliseconds));
        line.RunFor(TimeSpan.FromSeconds(25));
        long before = line.Window.Delivered;
        var begun = _clock.Now;
        long most = line.RunFor(TimeSpan.FromSeconds(25));
        Assert.InRange((line.Window.Delivered - before) / (_clock.Now - begun).TotalSeconds, 0.9 * rate, 1.01 * rate);
        double product = rate * milliseconds / 1000;

        // A request is up to a quarter of the window, which on the slow lines is three chunks; one is in the time, one on its way.
        Assert.InRange(most, product, Math.Max((2.5 * product) + (4 * Line.Chunk), Math.Min(2 * MiB, 0.05 * rate)) + Line.Chunk);
        return Task.CompletedTask;
    }

    /// <summary>Whoever asks for little at a time shows nothing of what the line can do, and the window must not shrink to it.</summary>
    [Fact(Timeout = 60_000)]
    public Task FewRequests_DoNotShrinkTheWindow()
    {
        var line = new Line(_clock, new TransferWindow(_clock, unit: 64 << 10, smallest: 2 * MiB, largest: 48 * MiB), 125e6, TimeSpan.FromMilliseconds(25));
        line.RunFor(TimeSpan.FromSeconds(5));
        long limit = line.Window.Limit;
        for (int i = 0; i < 200; i++)
        {
            var ticket = line.Window.Begin(4096);
            _clock.Advance(TimeSpan.FromMilliseconds(25.1));
            line.Window.End(ticket, isDelivered: true);
        }

        Assert.InRange(line.Window.Limit, limit / 2, limit * 2);
        return Task.CompletedTask;
    }

    /// <summary>A line of a rate and a delay, whose sender fills the window with requests of a quarter of it, as pulls and pushes do.</summary>
    private sealed class Line(VirtualTimeProvider clock, TransferWindow window, double rate, TimeSpan roundTrip)
    {
        public const long Chunk = 64 << 10;

        private readonly Queue<(TransferTicket Ticket, TimeSpan Due)> _flying = new();
        private TimeSpan _free;

        public TransferWindow Window => window;

        /// <summary>Runs for a time.</summary>
        /// <returns>The most bytes that were in flight.</returns>
        public long RunFor(TimeSpan time)
        {
            long most = 0;
            for (var end = clock.Now + time; clock.Now < end;)
            {
                long bytes = Math.Max(1, Math.Min(MiB, window.Limit / 4) / Chunk) * Chunk;
                while (window.HasRoom(bytes))
                {
                    _free = (_free > clock.Now ? _free : clock.Now) + TimeSpan.FromSeconds(bytes / rate);
                    _flying.Enqueue((window.Begin(bytes), _free + roundTrip));
                }

                most = Math.Max(most, window.InFlight);
                var (ticket, due) = _flying.Dequeue();
                clock.Advance(due - clock.Now);
                window.End(ticket, isDelivered: true);
            }

            return most;
        }
    }
}
