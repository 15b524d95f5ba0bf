using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class FaultInjectionStageContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length)
    {
        var stage = new FaultInjectionStage(new MemoryBackend(length));
        stage.Inject(new FaultRule { Probability = 0 });
        return new(stage);
    }
}
