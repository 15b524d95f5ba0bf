namespace Farspan.Migration.Finalizing;

/// <summary>
/// Tells quiet from busy by how much is written: two normal distributions of the logarithm of the rate, fitted to what was seen by expectation
/// maximisation, and Bayes' rule. There is none where one distribution explains as much.
/// </summary>
internal sealed class PhaseClassifier
{
    private const int Iterations = 30;
    private const double LeastVariance = 0.05;

    // A chunk now and then is no writing.
    private const double LeastRate = 64 << 10;

    // Twice the difference of the logarithms of likelihoods that counts as strong evidence, beyond what more parameters cost.
    private const double StrongEvidence = 10;

    private readonly Normal _quiet;
    private readonly Normal _busy;

    private PhaseClassifier(Normal quiet, Normal busy)
    {
        _quiet = quiet;
        _busy = busy;
    }

    /// <summary>The part of the time that was quiet.</summary>
    public double QuietPart => _quiet.Weight;

    /// <summary>Fits two classes.</summary>
    /// <param name="rates">Rates of writes in times of equal lengths, in bytes a second.</param>
    /// <param name="contrast">How many times more a busy phase writes, at least.</param>
    /// <returns>Nothing where there are not two classes.</returns>
    public static PhaseClassifier? Fit(ReadOnlySpan<double> rates, double contrast)
    {
        if (rates.Length < 4)
            return null;
        double[] values = new double[rates.Length];
        for (int i = 0; i < values.Length; i++)
            values[i] = Measure(rates[i]);
        double[] sorted = [.. values.Order()];
        int split = BestSplit(sorted);
        var one = Normal.Of(sorted, 1);
        var quiet = Normal.Of(sorted.AsSpan(0, split), (double)split / sorted.Length);
        var busy = Normal.Of(sorted.AsSpan(split), 1 - quiet.Weight);
        double[] quietShares = new double[sorted.Length];
        double likelihood = 0;
        for (int iteration = 0; iteration < Iterations; iteration++)
        {
            likelihood = 0;
            for (int i = 0; i < sorted.Length; i++)
            {
                double q = quiet.LogDensity(sorted[i]);
                double b = busy.LogDensity(sorted[i]);
                double most = Math.Max(q, b);
                double sum = most + Math.Log(Math.Exp(q - most) + Math.Exp(b - most));
                likelihood += sum;
                quietShares[i] = Math.Exp(q - sum);
            }

            quiet = Normal.Of(sorted, quietShares, quiet: true);
            busy = Normal.Of(sorted, quietShares, quiet: false);
        }

        double alone = 0;
        foreach (double value in sorted)
            alone += one.LogDensity(value);
        bool better = 2 * (likelihood - alone) - 3 * Math.Log(sorted.Length) > StrongEvidence;
        bool apart = busy.Mean - quiet.Mean >= Math.Log(contrast);
        bool both = Math.Min(quiet.Weight, busy.Weight) * sorted.Length >= 1.5;
        return better && apart && both ? new PhaseClassifier(quiet, busy) : null;
    }

    /// <summary>How probable it is that a rate is one of a quiet phase.</summary>
    /// <param name="rate">In bytes a second.</param>
    /// <param name="prior">How probable quiet was before the rate was known.</param>
    public double Quiet(double rate, double prior)
    {
        // The wider of two normal distributions wins far out on both sides; but less is always quieter.
        double value = Math.Clamp(Measure(rate), _quiet.Mean, _busy.Mean);
        double odds = _quiet.LogDensity(value) - Math.Log(_quiet.Weight) - _busy.LogDensity(value) + Math.Log(_busy.Weight) + Math.Log(prior) - Math.Log(1 - prior);
        return 1 / (1 + Math.Exp(-odds));
    }

    private static double Measure(double rate) => Math.Log(Math.Max(0, rate) + LeastRate);

    // Where two groups differ least within themselves.
    private static int BestSplit(double[] sorted)
    {
        double total = sorted.Sum();
        double below = 0;
        double best = double.NegativeInfinity;
        int split = 1;
        for (int i = 1; i < sorted.Length; i++)
        {
            below += sorted[i - 1];
            double between = below * below / i + (total - below) * (total - below) / (sorted.Length - i);
            if (between > best)
                (best, split) = (between, i);
        }

        return split;
    }

    private readonly record struct Normal(double Mean, double Variance, double Weight)
    {
        public static Normal Of(ReadOnlySpan<double> values, double weight)
        {
            double mean = 0;
            foreach (double value in values)
                mean += value / values.Length;
            double variance = 0;
            foreach (double value in values)
                variance += (value - mean) * (value - mean) / values.Length;
            return new Normal(mean, Math.Max(variance, LeastVariance), weight);
        }

        public static Normal Of(double[] values, double[] quietShares, bool quiet)
        {
            double weight = 1e-9;
            double mean = 0;
            for (int i = 0; i < values.Length; i++)
            {
                double share = quiet ? quietShares[i] : 1 - quietShares[i];
                weight += share;
                mean += share * values[i];
            }

            mean /= weight;
            double variance = 0;
            for (int i = 0; i < values.Length; i++)
                variance += (quiet ? quietShares[i] : 1 - quietShares[i]) * (values[i] - mean) * (values[i] - mean);
            return new Normal(mean, Math.Max(variance / weight, LeastVariance), weight / values.Length);
        }

        public double LogDensity(double value)
            => Math.Log(Weight) - 0.5 * Math.Log(2 * Math.PI * Variance) - (value - Mean) * (value - Mean) / (2 * Variance);
    }
}
