using System.Globalization;
using Farspan.Units;

namespace Farspan.Cli.Terminal;

/// <summary>
/// Shows how far a job has come: what, bytes, rate, time left. Nothing is shown in the first second. On a terminal one line is redrawn;
/// elsewhere, and only when asked for, a line is written now and then.
/// </summary>
internal sealed class ProgressLine : IAsyncDisposable
{
    private static readonly TimeSpan Delay = TimeSpan.FromSeconds(1);

    /// <summary>Seconds: more than a human lifetime, and less than a <see cref="TimeSpan"/> holds.</summary>
    private const double LongestLeft = 1e10;

    private readonly TextWriter _output;
    private readonly bool _redraws;
    private readonly string _what;
    private readonly long _total;
    private readonly Func<long> _done;
    private readonly string? _lastStep;
    private readonly TimeProvider _clock;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private bool _shown;

    private ProgressLine(TextWriter output, ProgressMode mode, string what, long total, Func<long> done, string? lastStep, TimeProvider clock)
    {
        _output = output;
        _redraws = mode == ProgressMode.Redraw;
        _what = what;
        _total = total;
        _done = done;
        _lastStep = lastStep;
        _clock = clock;
        _loop = mode == ProgressMode.None ? Task.CompletedTask : Task.Run(LoopAsync);
    }

    /// <summary>
    /// Starts to show; <paramref name="done"/> is asked for the bytes done so far, from another thread, and <paramref name="lastStep"/> says what goes on
    /// once these are all.
    /// </summary>
    public static ProgressLine Start(
        TextWriter output, ProgressMode mode, string what, long total, Func<long> done, string? lastStep = null, TimeProvider? clock = null)
        => new(output, mode, what, total, done, lastStep, clock ?? TimeProvider.System);

    /// <summary>Writes one state as text, such as <c>copy: 35 %, 350 MiB of 1 GiB, 110 MiB/s, 6 s left</c>.</summary>
    public static string Format(string what, long done, long total, TimeSpan elapsed, string? lastStep = null)
    {
        double rate = elapsed > TimeSpan.Zero ? done / elapsed.TotalSeconds : 0;
        string percent = (total == 0 ? 100 : done * 100.0 / total).ToString("0", CultureInfo.InvariantCulture);
        string left = done >= total && lastStep is not null ? $", {lastStep}" : rate > 0 ? $", {Duration(TimeSpan.FromSeconds(Math.Min((total - done) / rate, LongestLeft)))} left" : "";
        return $"{what}: {percent} %, {ByteSize.Format(done)} of {ByteSize.Format(total)}, {ByteSize.Format((long)rate)}/s{left}";
    }

    /// <summary>Writes a duration for people: <c>12 ms</c>, <c>3.4 s</c>, <c>2 min 5 s</c>, <c>3 h 4 min</c>.</summary>
    public static string Duration(TimeSpan duration) => duration switch
    {
        { TotalHours: >= 1 } => $"{(long)duration.TotalHours} h {duration.Minutes} min",
        { TotalMinutes: >= 1 } => $"{(long)duration.TotalMinutes} min {(long)duration.TotalSeconds % 60} s",
        { TotalSeconds: >= 10 } => $"{duration.TotalSeconds:0} s",
        { TotalSeconds: >= 1 } => $"{duration.TotalSeconds:0.0} s",
        _ => $"{duration.TotalMilliseconds:0.#} ms",
    };

    /// <summary>Stops, and clears a redrawn line.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        if (_shown && _redraws)
            await _output.WriteAsync("\r\e[K");
        _stop.Dispose();
    }

    private async Task LoopAsync()
    {
        long started = _clock.GetTimestamp();
        var pause = Delay;
        while (true)
        {
            try
            {
                await Task.Delay(pause, _clock, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            string line = Format(_what, Math.Min(_done(), _total), _total, _clock.GetElapsedTime(started), _lastStep);
            await _output.WriteAsync(_redraws ? $"\r{line}\e[K" : $"{line}\n");
            await _output.FlushAsync();
            _shown = true;
            pause = TimeSpan.FromMilliseconds(_redraws ? 100 : 2000);
        }
    }
}
