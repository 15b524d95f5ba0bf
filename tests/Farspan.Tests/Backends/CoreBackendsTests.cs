using Farspan.Backends;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Tests.Backends;

public sealed class CoreBackendsTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly BackendRegistry _registry = new BackendRegistry().AddCoreBackends();

    public void Dispose() => _directory.Dispose();

    [Theory(Timeout = 120_000)]
    [InlineData("memory:1MiB")]
    [InlineData("file:{0}/a?size=1MiB")]
    [InlineData("file:{0}/a?size=1MiB&lock=off")]
    [InlineData("{0}/a?size=1MiB")]
    [InlineData("file://{0}/a?size=1MiB")]
    [InlineData("directory:{0}/d?size=1MiB&chunk=4KiB")]
    [InlineData("directory:{0}/d?size=1MiB")]
    public async Task Uri_Opens(string form)
    {
        await using var backend = await _registry.OpenAsync(form.Replace("{0}", _directory.Path, StringComparison.Ordinal));
        Assert.Equal(1 << 20, backend.Length);
        Assert.False(backend.IsReadOnly);
        await backend.WriteAsync(1, new byte[] { 1 });
    }

    [Fact(Timeout = 120_000)]
    public async Task Memory_ForReadingOnly_CannotBeChanged()
    {
        await using var backend = await _registry.OpenAsync("memory:1MiB", new BackendOpenOptions { ReadOnly = true });
        Assert.True(backend.IsReadOnly);
        Assert.Null(backend.GetCapability<IZero>());
        var refusal = await Assert.ThrowsAsync<BackendException>(async () => await backend.WriteAsync(0, new byte[1]));
        Assert.Equal(BackendError.ReadOnly, refusal.Error);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("memory:")]
    [InlineData("memory:0")]
    [InlineData("memory:-1")]
    [InlineData("memory:lots")]
    [InlineData("memory:2PiB")]
    [InlineData("memory:1GiB?chunk=4KiB")]
    [InlineData("memory://1GiB")]
    [InlineData("pattern:")]
    [InlineData("pattern:0")]
    [InlineData("pattern:1MiB?seed=1")]
    [InlineData("http:")]
    [InlineData("http:///x")]
    [InlineData("https:disk.img")]
    [InlineData("file:")]
    [InlineData("file://host/a")]
    [InlineData("file:{0}/a?size=0")]
    [InlineData("file:{0}/a?size=-5")]
    [InlineData("file:{0}/a?size=lots")]
    [InlineData("file:{0}/a?sise=1MiB")]
    [InlineData("file:{0}/a?size=1MiB&lock=perhaps")]
    [InlineData("directory:")]
    [InlineData("directory:{0}/d?size=0")]
    [InlineData("directory:{0}/d?size=1MiB&chunk=5000")]
    [InlineData("directory:{0}/d?size=1MiB&chunk=2KiB")]
    [InlineData("directory:{0}/d?size=1MiB&chunk=64MiB")]
    [InlineData("directory:{0}/d?size=1PiB&chunk=4KiB")]
    [InlineData("directory:{0}/d?size=1MiB&open=4")]
    public async Task WrongUri_IsOneClearLineAndCreatesNothing(string form)
    {
        var error = await Assert.ThrowsAsync<FormatException>(
            async () => await _registry.OpenAsync(form.Replace("{0}", _directory.Path, StringComparison.Ordinal)));
        Assert.DoesNotContain('\n', error.Message);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory.Path));
    }

    [Theory(Timeout = 120_000)]
    [InlineData("file:{0}/absent")]
    [InlineData("file:{0}/absent/deeper?size=1MiB")]
    [InlineData("directory:{0}/absent")]
    public async Task Absent_IsNotFound(string form)
    {
        var error = await Assert.ThrowsAsync<BackendException>(
            async () => await _registry.OpenAsync(form.Replace("{0}", _directory.Path, StringComparison.Ordinal)));
        Assert.Equal(BackendError.NotFound, error.Error);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("file:{0}/a")]
    [InlineData("directory:{0}/d")]
    public async Task ReadOnly_NeedsNoMoreThanWhatIsThere(string form)
    {
        string uri = form.Replace("{0}", _directory.Path, StringComparison.Ordinal);
        var readOnly = new BackendOpenOptions { ReadOnly = true };
        await Assert.ThrowsAsync<BackendException>(async () => await _registry.OpenAsync($"{uri}?size=1MiB", readOnly));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory.Path));
        await using (var backend = await _registry.OpenAsync($"{uri}?size=1MiB"))
            await backend.WriteAsync(7, new byte[] { 7 });
        await using var again = await _registry.OpenAsync(uri, readOnly);
        byte[] buffer = new byte[1];
        await again.ReadAsync(7, buffer);
        Assert.Equal(7, buffer[0]);
        Assert.True(again.IsReadOnly);
    }
}
