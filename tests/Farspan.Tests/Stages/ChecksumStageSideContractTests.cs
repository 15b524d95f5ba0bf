using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class ChecksumStageSideContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IConcurrentWriters), typeof(IBlockSizes)];

    protected override int ModelRuns => 20;

    protected override async ValueTask<IBackend> CreateAsync(long length)
    {
        var side = new AlignmentGuardStage(new YieldingStage(new MemoryBackend(ChecksumStage.SideLength(length, 512))), new BlockSizes(4096, 4096, 256 << 10));
        return await ChecksumStage.OpenAsync(new MemoryBackend(length), new ChecksumOptions { ChunkSize = 512, Side = side });
    }
}
