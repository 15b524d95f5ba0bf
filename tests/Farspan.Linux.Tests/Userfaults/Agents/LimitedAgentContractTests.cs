using Farspan.Backends;
using Farspan.Linux.Userfaults.Agents;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>The same of a region that is larger than what of it may be in memory, over a backend that lends nothing.</summary>
public sealed class LimitedAgentContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [];

    protected override int ModelRuns => 20;

    protected override async ValueTask<IBackend> CreateAsync(long length) => await AgentBackend.OpenAsync(
        new LockGateStage(new MemoryBackend(length)),
        new UserfaultAgentOptions { ChunkSize = 4096, ResidentLimit = 256 << 10, SaveInterval = TimeSpan.FromMilliseconds(10) });
}
