using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;
using Farspan.Transports;

namespace Farspan.Tests.Stages;

public sealed class SimulatedLinkStageContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length)
        => new(new SimulatedLinkStage(new MemoryBackend(length), new LinkModel(new LinkOptions { UpRate = 100_000_000_000, DownRate = 100_000_000_000 })));
}
