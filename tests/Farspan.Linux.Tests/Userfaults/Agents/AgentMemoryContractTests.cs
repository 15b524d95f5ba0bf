using Farspan.Backends;
using Farspan.Linux.Userfaults.Agents;
using Farspan.TestKit.Contracts;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>What every backend promises, through memory that an agent serves.</summary>
public sealed class AgentMemoryContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [];

    protected override int ModelRuns => 20;

    protected override async ValueTask<IBackend> CreateAsync(long length) => await AgentBackend.OpenAsync(new MemoryBackend(length), new UserfaultAgentOptions());
}
