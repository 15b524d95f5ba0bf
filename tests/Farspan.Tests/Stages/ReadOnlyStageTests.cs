using Farspan.Backends;
using Farspan.Stages;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class ReadOnlyStageTests
{
    [Fact]
    public void Powers_AreThoseThatChangeNothing()
    {
        var stage = new ReadOnlyStage(new MemoryBackend(100));
        Assert.True(stage.IsReadOnly);
        Assert.Null(stage.GetCapability<ITrim>());
        Assert.Null(stage.GetCapability<IZero>());
        Assert.NotNull(stage.GetCapability<IExtentSource>());
        Assert.NotNull(stage.GetCapability<IMemoryLender>());
        Assert.NotNull(stage.GetCapability<IConcurrentWriters>());
    }

    [Fact(Timeout = 120_000)]
    public async Task EmptyWrite_IsRefusedToo()
    {
        await using var stage = new ReadOnlyStage(new MemoryBackend(100));
        var error = await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(0, ReadOnlyMemory<byte>.Empty));
        Assert.Equal(BackendError.ReadOnly, error.Error);
    }
}
