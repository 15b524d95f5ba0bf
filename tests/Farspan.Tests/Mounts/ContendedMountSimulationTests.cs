using Farspan.TestKit.Simulation;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>
/// Mounts of several hosts that contend for one remote with a lease, in simulated worlds. <c>FARSPAN_SEEDS</c> says how many, <c>FARSPAN_FIRST_SEED</c>
/// from which on; <c>FARSPAN_SEED</c> runs one.
/// </summary>
public sealed class ContendedMountSimulationTests
{
    private const int Batches = 4;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void EveryWorld_HasOneWriterAtATime_AndLosesNothing(int batch)
    {
        foreach (int seed in SeedRange.OfBatch(batch, Batches, usual: 1000, inLongRuns: 100_000))
            ContendedWorld.Run(seed);
    }

    /// <summary>
    /// 2628: a lease that was waited for left the simulation's thread; 13579, and by all signs 1492 and 17192: a flush completed whose bytes had been made zero
    /// meanwhile, which was not pushed yet.
    /// </summary>
    [Theory]
    [InlineData(1492)]
    [InlineData(2628)]
    [InlineData(13579)]
    [InlineData(17192)]
    public void KnownWorld_HasOneWriterAtATime_AndLosesNothing(int seed)
        => ContendedWorld.Run(SeedRange.OneOr(seed));

    [Theory]
    [InlineData(1)]
    [InlineData(77)]
    public void SameSeed_TakesTheSameSteps(int seed) => Assert.Equal(ContendedWorld.Run(seed), ContendedWorld.Run(seed));
}
