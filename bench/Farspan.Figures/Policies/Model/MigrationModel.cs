using Farspan.Migration.Finalizing;

namespace Farspan.Figures.Policies.Model;

/// <summary>
/// A migration in virtual time: a region, a program that writes it, a line with a rate and a round trip time, and the policy under test. Chunks are copied in
/// order, again and again, those that are missing; a round lists what changed; a hand-over takes a round trip, and half of it passes before the program stands still.
/// </summary>
internal sealed class MigrationModel(IFinalizePolicy policy, WriterLoad load, LineModel line, int seed)
{
    public const int ChunkBytes = 64 << 10;
    public const int RegionChunks = 16 << 10;
    private const double Tick = 0.01;
    private const double LongestRun = 3600;
    private const int MostSamples = 256;
    public const long RegionBytes = (long)RegionChunks * ChunkBytes;

    private readonly WriterModel _writer = new(load, seed);
    private readonly bool[] _missing = Enumerable.Repeat(true, RegionChunks).ToArray();
    private readonly bool[] _changed = new bool[RegionChunks];
    private readonly List<WriteSample> _samples = [];
    private int _missingCount = RegionChunks;
    private int _changedCount;
    private int _cursor;
    private double _now;
    private double _budget;
    private long _sentChunks;
    private double _lastRound;
    private int _rounds;

    /// <summary>Copies until the policy asks for the hand-over.</summary>
    public MigrationOutcome Run()
    {
        while (_now < LongestRun)
        {
            var step = policy.Next(Progress());
            if (step.Action == FinalizeAction.Finalize)
                return HandOver();
            bool copies = step.Action != FinalizeAction.Watch;
            double end = _now + Math.Max(step.Delay.TotalSeconds, step.Action == FinalizeAction.Copy && _missingCount == 0 ? Tick : 0);
            bool hadMissing = _missingCount > 0;
            while (_now < end && !(copies && hadMissing && _missingCount == 0))
                Advance(Math.Min(Tick, end - _now), copies);
            if (step.Action != FinalizeAction.Copy && _now >= end)
                Round(copies);
        }

        throw new InvalidOperationException($"No hand-over within {LongestRun} s: {load.Name}, seed {seed}.");
    }

    private void Round(bool copies)
    {
        Advance(line.RoundTrip / 2, copies);
        _samples.Add(new WriteSample(TimeSpan.FromSeconds(_now), TimeSpan.FromSeconds(_now - _lastRound), (long)_changedCount * ChunkBytes));
        if (_samples.Count > MostSamples)
            _samples.RemoveAt(0);
        _lastRound = _now;
        _rounds++;
        List();
        Advance(line.RoundTrip / 2, copies);
    }

    private MigrationOutcome HandOver()
    {
        double asked = _now;
        Advance(line.RoundTrip / 2, copies: false);
        List();
        double missing = (double)_missingCount * ChunkBytes;
        return new MigrationOutcome(asked, missing, missing / line.BytesPerSecond, (_sentChunks + _missingCount) * (double)ChunkBytes, _rounds);
    }

    private void List()
    {
        if (_changedCount == 0)
            return;
        for (int chunk = 0; chunk < RegionChunks; chunk++)
        {
            if (!_changed[chunk])
                continue;
            _changed[chunk] = false;
            if (!_missing[chunk])
                _missingCount++;
            _missing[chunk] = true;
        }

        _changedCount = 0;
    }

    private void Advance(double seconds, bool copies)
    {
        _writer.Write(_now, seconds, chunk =>
        {
            if (!_changed[chunk])
                _changedCount++;
            _changed[chunk] = true;
        });
        _budget = copies && _missingCount > 0 ? _budget + line.BytesPerSecond * seconds / ChunkBytes : 0;
        for (; _budget >= 1 && _missingCount > 0; _budget--)
        {
            while (!_missing[_cursor])
                _cursor = (_cursor + 1) % RegionChunks;
            _missing[_cursor] = false;
            _missingCount--;
            _sentChunks++;
        }

        _now += seconds;
    }

    private PreCopyProgress Progress() => new(
        TimeSpan.FromSeconds(_now), _rounds, RegionBytes, (long)_missingCount * ChunkBytes, _sentChunks * ChunkBytes,
        _sentChunks > 0 ? line.BytesPerSecond : 0, TimeSpan.FromSeconds(line.RoundTrip), _samples);
}
