using Farspan.Backends;
using Xunit;

namespace Farspan.Tests.Backends;

public sealed class BackendRegistryTests
{
    [Fact(Timeout = 120_000)]
    public async Task LastRegistration_Wins()
    {
        var registry = new BackendRegistry()
            .Register("x", (_, _, _) => throw new InvalidOperationException("the first"))
            .Register("x", (uri, _, _) => new ValueTask<IBackend>(new MemoryBackend(uri.GetSize("n")!.Value)));
        await using var backend = await registry.OpenAsync("X:anything?n=5");
        Assert.Equal(5, backend.Length);
        Assert.Equal(["x"], registry.Schemes);
    }

    [Fact(Timeout = 120_000)]
    public async Task Options_ReachTheOpener()
    {
        BackendOpenOptions? seen = null;
        var registry = new BackendRegistry().Register("x", (_, options, _) =>
        {
            seen = options;
            return new ValueTask<IBackend>(new MemoryBackend(1));
        });
        await using (await registry.OpenAsync("x:"))
            Assert.Equal(new BackendOpenOptions(), seen);
        await using (await registry.OpenAsync("x:", new BackendOpenOptions { ReadOnly = true }))
            Assert.True(seen!.ReadOnly);
    }

    [Fact(Timeout = 120_000)]
    public async Task UnknownScheme_IsOneClearLine()
    {
        var registry = new BackendRegistry().AddCoreBackends();
        var error = await Assert.ThrowsAsync<FormatException>(async () => await registry.OpenAsync("floppy:a"));
        Assert.Contains("'floppy:'", error.Message, StringComparison.Ordinal);
        Assert.Contains("known are directory, farspan, farspan+unix, farspans, farspans+unix, file, http, https, memory, pattern (", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }
}
