using Farspan.Backends;
using Farspan.Cli.Inspection;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Inspection;

public sealed class InspectorTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory(Timeout = 120_000)]
    [InlineData("file")]
    [InlineData("directory")]
    public async Task AbsentWithASize_IsNotMade(string scheme)
    {
        var error = await Assert.ThrowsAsync<BackendException>(() => InspectAsync($"{scheme}:{_directory["absent"]}?size=1MiB"));
        Assert.Equal(BackendError.NotFound, error.Error);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory.Path));
    }

    [Fact(Timeout = 120_000)]
    public async Task FileWithItsSize_IsShownAsItCanBeUsed()
    {
        await File.WriteAllBytesAsync(_directory["a"], new byte[1 << 20]);
        var report = await InspectAsync($"file:{_directory["a"]}?size=1MiB");
        Assert.Equal(1 << 20, report.Length);
        Assert.False(report.ReadOnly);
        Assert.Contains("zero", report.Capabilities);
    }

    private static Task<BackendReport> InspectAsync(string uri)
        => Inspector.InspectAsync(Registry.Create(), uri, map: true, new BackendOpenOptions(), CancellationToken.None);
}
