using Farspan.Figures.Policies.Model;
using Farspan.Migration.Finalizing;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Tests.Migration.Finalizing;

/// <summary>Whole migrations of a model, the same load and the same seed with each policy.</summary>
public sealed class PolicySimulationTests
{
    private const double Megabyte = 1e6;

    private static readonly int s_seeds = LongRun.Rounds(10);
    private static readonly LineModel s_line = new(125 * Megabyte, 0.01);
    private static readonly IFinalizePolicy s_auto = new AutoFinalize();
    private static readonly IFinalizePolicy s_cycle = new CycleFinalize();

    public static TheoryData<double, double, double, double, double, double> CyclicLoads => new()
    {
        // Busy rate, busy seconds, quiet rate, quiet seconds, jitter, times less missing at least.
        { 60, 20, 1, 10, 0.1, 20 },
        { 60, 20, 1, 10, 0.3, 20 },
        { 200, 20, 1, 10, 0.1, 10 },
        { 100, 5, 2, 5, 0.1, 4 },
        { 60, 25, 1, 5, 0.1, 20 },
        { 100, 10, 5, 20, 0.2, 4 },
        { 100, 20, 30, 10, 0.2, 4 },
    };

    [Theory]
    [MemberData(nameof(CyclicLoads))]
    public void CyclicLoad_IsHandedOverInAQuietPhase(double busy, double busySeconds, double quiet, double quietSeconds, double jitter, double factor)
    {
        var load = new WriterLoad("cyclic", busy * Megabyte, busySeconds, quiet * Megabyte, quietSeconds) { Jitter = jitter };
        var (auto, cycle) = (Run(s_auto, load), Run(s_cycle, load));
        Assert.True(
            cycle.MissingBytes * factor <= auto.MissingBytes, $"{cycle.MissingBytes / Megabyte:0.0} MB were missing, {auto.MissingBytes / Megabyte:0.0} MB without waiting.");

        // It waits for no more than about a cycle.
        Assert.InRange(cycle.TotalSeconds, 0, auto.TotalSeconds + busySeconds + quietSeconds);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(30)]
    [InlineData(60)]
    [InlineData(100)]
    [InlineData(200)]
    public void ConstantLoad_IsHandedOverAsWellAndSoonAfter(double rate)
    {
        var load = WriterLoad.Constant("constant", rate * Megabyte);
        var (auto, cycle) = (Run(s_auto, load), Run(s_cycle, load));
        Assert.InRange(cycle.MissingBytes, 0, auto.MissingBytes * 1.05 + Megabyte);
        Assert.InRange(cycle.AskedSeconds, 0, Math.Max(auto.AskedSeconds, new CycleFinalizeOptions().Observation.TotalSeconds) + 10);
    }

    [Theory]
    [InlineData(20, 10, 60, 1)]
    [InlineData(2, 2, 60, 5)]
    [InlineData(0.5, 0.5, 60, 5)]
    [InlineData(5, 5, 200, 20)]
    public void PhasesOfRandomLengths_AreHandedOverAsWell(double busySeconds, double quietSeconds, double busy, double quiet)
    {
        var load = new WriterLoad("random", busy * Megabyte, busySeconds, quiet * Megabyte, quietSeconds) { Random = true };
        var (auto, cycle) = (Run(s_auto, load), Run(s_cycle, load));
        Assert.InRange(cycle.MissingBytes, 0, auto.MissingBytes * 1.05);
    }

    [Fact]
    public void FewChunksWrittenAgainAndAgain_AreNotCopiedAgainAndAgain()
    {
        var load = new WriterLoad("hot", 60 * Megabyte, 20, Megabyte, 10) { HotChunks = 1024 };
        var cycle = Run(s_cycle, load);
        Assert.InRange(cycle.SentBytes, 0, 1.2 * MigrationModel.RegionBytes);
    }

    [Fact]
    public void ByATime_IsAskedForAtThatTime()
    {
        var outcome = new MigrationModel(new FixedFinalize(TimeSpan.FromSeconds(5)), WriterLoad.Constant("constant", 60 * Megabyte), s_line, seed: 1).Run();
        Assert.Equal(5, outcome.AskedAt, 0.05);
        Assert.InRange(outcome.MissingBytes, 0.35 * MigrationModel.RegionBytes, 0.75 * MigrationModel.RegionBytes);
    }

    private static (double MissingBytes, double AskedSeconds, double TotalSeconds, double SentBytes) Run(IFinalizePolicy policy, WriterLoad load)
    {
        var outcomes = Enumerable.Range(1, s_seeds).Select(seed => new MigrationModel(policy, load, s_line, seed).Run()).ToList();
        return (outcomes.Average(o => o.MissingBytes), outcomes.Average(o => o.AskedAt), outcomes.Average(o => o.TotalSeconds), outcomes.Average(o => o.SentBytes));
    }
}
