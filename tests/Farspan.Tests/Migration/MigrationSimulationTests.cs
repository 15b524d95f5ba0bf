using Farspan.Migration;
using Farspan.TestKit;
using Farspan.TestKit.Time;
using Xunit;
using Xunit.Abstractions;

namespace Farspan.Tests.Migration;

/// <summary>A region that is copied over a troubled line while its program writes, in simulated worlds in which both hosts crash.</summary>
public sealed class MigrationSimulationTests(ITestOutputHelper output)
{
    private static readonly int SeedCount = int.TryParse(Environment.GetEnvironmentVariable("FARSPAN_SEEDS"), out int seeds) ? seeds : LongRun.IsAskedFor ? 200_000 : 1500;

    [Fact(Timeout = 3_600_000)]
    public Task ARegion_MovesWhole_ToAHostThatGoesByTheRules() => RunAsync(static (world, seeder) => new SimulatedTarget(world, seeder));

    [Fact(Timeout = 3_600_000)]
    public Task ARegion_MovesWhole_ToALeecher() => RunAsync(static (world, seeder) => new LeecherTarget(world, seeder));

    private Task RunAsync(Func<SimulatedMigration, ISeeder, ISimulatedTarget> makeTarget)
    {
        var failures = new List<string>();
        int moved = 0;
        int first = int.TryParse(Environment.GetEnvironmentVariable("FARSPAN_SEED"), out int only) ? only : 0;
        for (int seed = first; seed < first + (only != 0 ? 1 : SeedCount) && failures.Count < 5; seed++)
        {
            try
            {
                bool hasMoved = false;
                VirtualTime.RunSeed(seed, TimeSpan.FromHours(2), async clock => hasMoved = await new SimulatedMigration(seed, clock, makeTarget).RunAsync());
                moved += hasMoved ? 1 : 0;
            }
            catch (Exception failure)
            {
                failures.Add($"seed {seed}: {failure.Message} {failure.StackTrace}");
            }
        }

        output.WriteLine($"{moved} regions moved");
        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
        Assert.True(only != 0 || moved > SeedCount / 2, $"Only {moved} regions moved.");
        return Task.CompletedTask;
    }
}
