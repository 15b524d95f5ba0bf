using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class ReadOnlyStageContractTests : ReadOnlyBackendContract
{
    protected override async ValueTask<IBackend> CreateAsync(byte[] contents)
    {
        var memory = new MemoryBackend(contents.Length);
        await memory.WriteAsync(0, contents);
        return new ReadOnlyStage(memory);
    }
}
