using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class ArbitraryAccessStageRunContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IMemoryLender), typeof(IConcurrentWriters), typeof(IBlockSizes)];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length)
        => new(new ArbitraryAccessStage(new AlignmentGuardStage(new MemoryBackend(length), new BlockSizes(512, 4096, 65_536))));
}
