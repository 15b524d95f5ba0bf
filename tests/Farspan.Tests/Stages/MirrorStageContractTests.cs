using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class MirrorStageContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IMemoryLender), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length)
    {
        var stage = new MirrorStage(new MemoryBackend(length), 4096, TimeProvider.System, TimeSpan.FromSeconds(1));
        stage.Begin(new MemoryBackend(length), isSame: true);
        return new(stage);
    }
}
