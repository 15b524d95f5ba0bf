using Farspan.Migration.Finalizing;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Migration.Finalizing;

public sealed class PhaseClassifierTests
{
    [Fact]
    public void TwoKindsOfRates_AreToldApart()
    {
        var random = new Random(1);
        double[] rates = [.. Enumerable.Range(0, 60).Select(i => (i % 30 < 20 ? 60e6 : 1e6) * (0.8 + 0.4 * random.NextDouble()))];
        var classifier = PhaseClassifier.Fit(rates, 3);
        Assert.NotNull(classifier);
        Assert.Equal(1 / 3.0, classifier.QuietPart, 0.02);
        Assert.All(rates, rate => Assert.Equal(rate < 10e6, classifier.Quiet(rate, 0.5) > 0.5));
    }

    [Fact]
    public void OneKindOfRates_HasNoPhases()
    {
        var random = new Random(2);
        for (int seed = 0; seed < 200; seed++)
            Assert.Null(PhaseClassifier.Fit([.. Enumerable.Range(0, 60).Select(_ => 60e6 * (0.7 + 0.6 * random.NextDouble()))], 3));
    }

    [Fact]
    public void SmallContrast_IsNoPhase()
        => Assert.Null(PhaseClassifier.Fit([.. Enumerable.Range(0, 60).Select(i => i % 30 < 20 ? 60e6 : 30e6)], 3));

    [Fact]
    public void LessWritten_IsNeverLessQuiet()
        => Prop.ForAll(Arb.From(Gen.Choose(0, 200_000_000).Two()), pair =>
        {
            var classifier = PhaseClassifier.Fit([.. Enumerable.Range(0, 60).Select(i => i % 30 < 20 ? 60e6 * (1 + i % 7) : 1e6)], 3)!;
            double less = classifier.Quiet(Math.Min(pair.Item1, pair.Item2), 0.5);
            double more = classifier.Quiet(Math.Max(pair.Item1, pair.Item2), 0.5);
            return double.IsFinite(less) && double.IsFinite(more) && less >= more - 1e-9;
        }).QuickCheckThrowOnFailure();
}
