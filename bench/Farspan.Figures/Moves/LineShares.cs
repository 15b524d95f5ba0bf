using System.Diagnostics;

namespace Farspan.Figures;

/// <summary>Looks at how much each of several regions has got, every 20 ms, and says how evenly while all of them were being copied.</summary>
internal sealed class LineShares(IReadOnlyList<MovingRegion> regions) : IDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_window = TimeSpan.FromMilliseconds(500);

    private readonly CancellationTokenSource _ending = new();
    private readonly List<(TimeSpan At, long[] Received)> _samples = [];
    private Task _looking = Task.CompletedTask;

    public void Start() => _looking = LookAsync();

    /// <summary>Ends the looking.</summary>
    public async Task EndAsync()
    {
        await _ending.CancelAsync();
        await _looking;
    }

    /// <summary>From when each had got something until the first one had been handed over.</summary>
    public ShareFigures While(double lineRate)
    {
        int first = _samples.FindIndex(sample => Array.TrueForAll(sample.Received, received => received > 0));
        int last = _samples.Count - 1;
        if (first < 0 || last <= first)
            return new ShareFigures(double.NaN, double.NaN, double.NaN, double.NaN);
        double[] got = Got(first, last);
        double least = double.NaN;
        for (int from = first, to = first; to <= last; to++)
        {
            if (_samples[to].At - _samples[from].At < s_window)
                continue;
            double[] part = Got(from, to);
            double share = part.Min() / part.Average();
            least = double.IsNaN(least) ? share : Math.Min(least, share);
            from++;
        }

        double seconds = (_samples[last].At - _samples[first].At).TotalSeconds;
        return new ShareFigures(Math.Pow(got.Sum(), 2) / (got.Length * got.Sum(x => x * x)), got.Min() / got.Max(), least, got.Sum() / seconds / lineRate);
    }

    public void Dispose() => _ending.Dispose();

    private double[] Got(int from, int to) => [.. _samples[to].Received.Zip(_samples[from].Received, (after, before) => (double)(after - before))];

    private async Task LookAsync()
    {
        var clock = Stopwatch.StartNew();
        while (!_ending.IsCancellationRequested && regions.All(region => region.ArrivedAfter == TimeSpan.Zero))
        {
            _samples.Add((clock.Elapsed, [.. regions.Select(region => region.Received)]));
            await Task.Delay(s_look);
        }
    }
}
