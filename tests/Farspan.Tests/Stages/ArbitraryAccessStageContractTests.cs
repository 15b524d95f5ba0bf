using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class ArbitraryAccessStageContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IConcurrentWriters), typeof(IBlockSizes)];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length)
        => new(new ArbitraryAccessStage(new AlignmentGuardStage(new YieldingStage(new MemoryBackend(length)), new BlockSizes(4096, 4096, 4096))));
}
