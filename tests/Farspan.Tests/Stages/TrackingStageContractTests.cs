using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class TrackingStageContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IMemoryLender), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length)
    {
        var stage = new TrackingStage(new MemoryBackend(length), 4096);
        _ = stage.BeginTracking();
        return new(stage);
    }
}
