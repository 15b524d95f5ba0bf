using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class LockGateStageContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IMemoryLender), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length) => new(new LockGateStage(new MemoryBackend(length)));
}
