using Farspan.Backends;
using Farspan.Linux.Userfaults;
using Farspan.TestKit.Contracts;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>What every backend promises, through memory.</summary>
public sealed class RemoteMemoryContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length)
        => ValueTask.FromResult<IBackend>(new RegionBackend(new MemoryBackend(length), new RemoteMemoryOptions()));
}
