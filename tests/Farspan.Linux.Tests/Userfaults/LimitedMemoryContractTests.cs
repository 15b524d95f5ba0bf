using Farspan.Backends;
using Farspan.Linux.Userfaults;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>The same of a region that is larger than what of it may be in memory, over a backend that lends nothing.</summary>
public sealed class LimitedMemoryContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length) => ValueTask.FromResult<IBackend>(new RegionBackend(
        new LockGateStage(new MemoryBackend(length)), new RemoteMemoryOptions { ChunkSize = 4096, ResidentLimit = 256 << 10, SaveInterval = TimeSpan.FromMilliseconds(10) }));
}
