namespace Farspan.Migration.Finalizing;

/// <summary>The quiet and busy phases of a program, as its rounds show them: which one it is in, since when, and when it will probably change.</summary>
internal sealed class WriteRhythm
{
    private const int MostCells = 512;
    private const double LeastCorrelation = 0.5;
    private const double Sure = 0.8;

    private readonly TimeSpan _cell;
    private readonly double[] _quiet;
    private readonly int _period;

    private WriteRhythm(TimeSpan cell, double[] quiet, PhaseClassifier classifier, double lastRate)
    {
        _cell = cell;
        _quiet = quiet;
        _period = FindPeriod(quiet);

        // What this moment of the period was before is one witness, the rate now another; each by itself.
        double prior = _period > 0 ? Math.Clamp(QuietAfter(0), 0.1, 0.9) : classifier.QuietPart;
        IsQuiet = classifier.Quiet(lastRate, Math.Clamp(prior, 0.1, 0.9)) >= Sure;
    }

    /// <summary>Whether the latest round tells of a quiet phase, for almost certain.</summary>
    public bool IsQuiet { get; }

    /// <summary>After what time phases come again; nothing where they do not do so regularly.</summary>
    public TimeSpan? Period => _period > 0 ? _cell * _period : null;

    /// <summary>What the rounds show; nothing where they show no phases.</summary>
    /// <param name="samples">Of rounds, the oldest first.</param>
    /// <param name="cell">Phases are seen in steps of this.</param>
    /// <param name="contrast">How many times more a busy phase writes, at least.</param>
    public static WriteRhythm? Find(IReadOnlyList<WriteSample> samples, TimeSpan cell, double contrast)
    {
        double[] rates = Rates(samples, cell.TotalSeconds);
        if (PhaseClassifier.Fit(rates, contrast) is not { } classifier)
            return null;
        double[] quiet = new double[rates.Length];
        for (int i = 0; i < quiet.Length; i++)
            quiet[i] = classifier.Quiet(rates[i], Math.Clamp(classifier.QuietPart, 0.1, 0.9));
        return new WriteRhythm(cell, quiet, classifier, rates[^1]);
    }

    /// <summary>For how long the phase that it is in has lasted, at least.</summary>
    public TimeSpan Age => _cell * RunBefore(_quiet.Length, IsQuiet);

    /// <summary>The mean length of the phases of a kind that were seen from beginning to end; nothing where there was none.</summary>
    /// <param name="quiet">The kind.</param>
    public TimeSpan? MeanLength(bool quiet)
    {
        int count = 0;
        int cells = 0;
        int end = _quiet.Length - RunBefore(_quiet.Length, LabelAt(_quiet.Length - 1));
        while (end > 0)
        {
            bool label = LabelAt(end - 1);
            int run = RunBefore(end, label);
            if (end == run)
                break;
            if (label == quiet)
            {
                count++;
                cells += run;
            }

            end -= run;
        }

        return count > 0 ? _cell * ((double)cells / count) : null;
    }

    /// <summary>For how long it will probably be as it is; nothing where what was seen does not tell.</summary>
    public TimeSpan? Left()
    {
        if (_period > 0)
        {
            int cells = 0;
            while (cells < _period && QuietAfter(cells + 1) >= 0.5 == IsQuiet)
                cells++;
            return _cell * cells;
        }

        return MeanLength(IsQuiet) is not { } mean ? null : mean > Age ? mean - Age : TimeSpan.Zero;
    }

    private bool LabelAt(int cell) => _quiet[cell] >= 0.5;

    private int RunBefore(int end, bool label)
    {
        int run = 0;
        while (run < end && LabelAt(end - 1 - run) == label)
            run++;
        return run;
    }

    // How often it was quiet at that moment of earlier periods.
    private double QuietAfter(int cells)
    {
        double sum = 0;
        int count = 0;
        for (int at = _quiet.Length - 1 + cells - _period; at >= 0; at -= _period)
        {
            if (at >= _quiet.Length)
                continue;
            sum += _quiet[at];
            count++;
        }

        return count > 0 ? sum / count : 0.5;
    }

    // The first lag at which the phases are most like themselves again, after they were unlike.
    private static int FindPeriod(double[] quiet)
    {
        double mean = quiet.Average();
        double power = quiet.Sum(q => (q - mean) * (q - mean)) / quiet.Length;
        if (power < 1e-6)
            return 0;
        bool unlike = false;
        int best = 0;
        double most = LeastCorrelation;
        for (int lag = 2; lag <= quiet.Length * 2 / 3; lag++)
        {
            double sum = 0;
            for (int i = lag; i < quiet.Length; i++)
                sum += (quiet[i] - mean) * (quiet[i - lag] - mean);
            double correlation = sum / (quiet.Length - lag) / power;
            unlike |= correlation < 0;
            if (unlike && correlation > most)
                (most, best) = (correlation, lag);
            else if (best > 0 && correlation < 0)
                break;
        }

        return best;
    }

    // Rates of equal times up to the latest round, the oldest first.
    private static double[] Rates(IReadOnlyList<WriteSample> samples, double cell)
    {
        if (samples.Count == 0)
            return [];
        double end = samples[^1].At.TotalSeconds;
        double span = end - (samples[0].At - samples[0].Length).TotalSeconds;
        double[] rates = new double[(int)Math.Clamp(span / cell, 0, MostCells)];
        double begin = end - rates.Length * cell;
        foreach (var sample in samples)
        {
            double length = sample.Length.TotalSeconds;
            double to = sample.At.TotalSeconds - begin;
            if (length <= 0 || to <= 0)
                continue;
            double from = Math.Max(0, to - length);
            double rate = Math.Max(0, sample.ChangedBytes) / length;
            for (int i = (int)(from / cell); i < rates.Length && i * cell < to; i++)
                rates[i] += rate * Math.Max(0, Math.Min(to, (i + 1) * cell) - Math.Max(from, i * cell)) / cell;
        }

        return rates;
    }
}
