using Farspan.Migration;
using Farspan.Mounts.Remotes;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Migration;

/// <summary>Several windows on one line, which carries what they send one after the other.</summary>
public sealed class PullWindowTests
{
    private const long Chunk = 64 << 10;

    /// <summary>
    /// Each gets at least half of an equal part in any ten seconds, whoever came first, and a request that is made now hardly waits: where nobody knew what the
    /// line takes without the others, one in ten got a fiftieth, behind a queue of seconds.
    /// </summary>
    [Theory(Timeout = 60_000)]
    [InlineData(125e6, 25, 2, 0)]
    [InlineData(125e6, 25, 2, 5)]
    [InlineData(125e6, 25, 3, 4)]
    [InlineData(125e6, 25, 10, 0)]
    [InlineData(125e6, 25, 10, 0.3)]
    [InlineData(125e6, 25, 10, 1.5)]
    [InlineData(125e6, 1, 3, 4)]
    [InlineData(125e6, 1, 10, 0.3)]
    [InlineData(125e6, 1, 10, 1.5)]
    [InlineData(125e6, 100, 3, 4)]
    [InlineData(125e6, 100, 10, 0.3)]
    [InlineData(125e6, 100, 10, 1.5)]
    [InlineData(1250e6, 10, 10, 1.5)]
    [InlineData(10e6, 20, 2, 5)]
    [InlineData(10e6, 20, 3, 4)]
    public Task EachGetsItsPart_AndTheQueueIsBounded(double rate, double milliseconds, int count, double secondsBetween)
    {
        var line = new Line(rate, TimeSpan.FromMilliseconds(milliseconds), count, secondsBetween);
        line.RunUntil(TimeSpan.FromSeconds((count - 1) * secondsBetween + 5));
        for (int turn = 0; turn < 4; turn++)
        {
            long[] before = line.Delivered();
            line.LongestQueue = TimeSpan.Zero;
            line.RunUntil(line.Now + TimeSpan.FromSeconds(10));
            double[] got = [.. line.Delivered().Zip(before, (after, at) => (double)(after - at))];
            Assert.InRange(got.Sum() / 10, 0.9 * rate, 1.01 * rate);
            Assert.True(got.Min() >= 0.5 * got.Average(), $"Turn {turn}: {string.Join(", ", got.Select(bytes => $"{bytes / got.Average():0.00}"))}");
            Assert.InRange(line.LongestQueue.TotalSeconds, 0, 0.15 + (milliseconds / 1000) + (count * 3 * Chunk / rate));
        }

        return Task.CompletedTask;
    }

    private sealed class Line(double rate, TimeSpan roundTrip, int count, double secondsBetween)
    {
        private const long MiB = 1 << 20;

        private readonly VirtualTimeProvider _clock = new();
        private readonly PriorityQueue<(int Index, TransferTicket? Ticket), (TimeSpan Due, long Order)> _events = new();
        private PullWindow[] _windows = [];
        private TimeSpan _free;
        private long _order;

        public TimeSpan Now => _clock.Now;

        /// <summary>The longest time that a request waited for those before it.</summary>
        public TimeSpan LongestQueue { get; set; }

        public long[] Delivered() => [.. _windows.Select(window => window.Delivered)];

        public void RunUntil(TimeSpan end)
        {
            if (_windows.Length == 0)
            {
                _windows = [.. Enumerable.Range(0, count).Select(_ => new PullWindow(_clock, unit: Chunk, smallest: MiB, largest: 64 * MiB))];
                for (int i = 0; i < count; i++)
                    _events.Enqueue((i, null), (TimeSpan.FromSeconds(i * (secondsBetween + 0.0007)), _order++));
            }

            while (_events.TryPeek(out var next, out var at) && at.Due <= end)
            {
                _events.Dequeue();
                _clock.Advance(at.Due - _clock.Now);
                if (next.Ticket is { } ticket)
                    _windows[next.Index].End(ticket, isDelivered: true);
                Fill(next.Index);
            }

            _clock.Advance(end - _clock.Now);
        }

        // With requests of a sixteenth of the window, as pulls do.
        private void Fill(int index)
        {
            var window = _windows[index];
            while (true)
            {
                long bytes = Math.Min(Math.Clamp(window.Limit / 16, 256 << 10, MiB), window.Limit / 4);
                bytes = Math.Clamp(bytes / Chunk, 1, 16) * Chunk;
                if (!window.HasRoom(bytes))
                    return;
                var arrives = _clock.Now + (roundTrip / 2);
                LongestQueue = _free - arrives > LongestQueue ? _free - arrives : LongestQueue;
                _free = (_free > arrives ? _free : arrives) + TimeSpan.FromSeconds(bytes / rate);
                _events.Enqueue((index, window.Begin(bytes)), (_free + (roundTrip / 2), _order++));
            }
        }
    }
}
