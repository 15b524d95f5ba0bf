using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class ChecksumStageContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IConcurrentWriters), typeof(IBlockSizes)];

    protected override int ModelRuns => 20;

    protected override async ValueTask<IBackend> CreateAsync(long length)
        => await ChecksumStage.OpenAsync(new YieldingStage(new MemoryBackend(length)), new ChecksumOptions { ChunkSize = 4096 });
}
