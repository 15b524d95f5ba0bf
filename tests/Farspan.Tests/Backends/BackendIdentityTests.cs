using Farspan.Backends;
using Xunit;

namespace Farspan.Tests.Backends;

public sealed class BackendIdentityTests
{
    [Theory(Timeout = 60_000)]
    [InlineData("nbd://host:10809/", "nbd://host", "nbd://host/", "NBD://Host:10809", "nbds://host/?tls-certificates=/x", "nbds://user@host", "nbd://host/?timeout=1s&connections=2")]
    [InlineData("nbd://host:10809/a b", "nbd://host/a%20b", "nbd://host:10809/a b")]
    [InlineData("nbd://[::1]:10809/", "nbd://[::1]", "nbd://[::1]:10809/")]
    [InlineData("farspan://host:10900/x", "farspan://host/x", "farspans://HOST:10900/x?unflushed=1MiB")]
    [InlineData("nbd+unix:///e?socket=/tmp/s", "nbd+unix:///e?socket=/tmp/s", "nbd+unix:///e?timeout=2s&socket=/tmp/../tmp/s", "nbds+unix:///e?socket=/tmp/s&tls-hostname=h")]
    [InlineData("nbd+unix:///?socket=/tmp/s", "nbd+unix://?socket=/tmp/s", "nbd+unix:///?socket=%2Ftmp%2Fs")]
    [InlineData("file:/tmp/disk", "/tmp/disk", "file:/tmp/./disk?size=1GiB", "file:/tmp/x/../disk?lock=off&direct=on")]
    [InlineData("directory:/tmp/chunks", "directory:/tmp/chunks?size=1GiB&chunk=64KiB")]
    [InlineData("redis://host/0?a=1&b=2", "redis://host/0?b=2&a=1", "REDIS://HOST/0?a=1&b=2")]
    [InlineData("http://host/a?b=1&a=2&b=1", "http://HOST:80/a?b=1&a=2&b=1", "http://user:p@host/a?b=1&a=2&b=1#x")]
    [InlineData("https://host/a%2Fb", "https://host:443/a%2Fb")]
    public Task SameBackendWrittenDifferently_HasOneIdentity(string identity, params string[] written)
    {
        Assert.All(written, text => Assert.Equal(identity, BackendUri.Parse(text).Identity));
        return Task.CompletedTask;
    }

    [Theory(Timeout = 60_000)]
    [InlineData("nbd://host/", "nbd://host:10810/")]
    [InlineData("nbd://host/a", "nbd://host/b")]
    [InlineData("nbd://host/a", "nbd://host/A")]
    [InlineData("nbd://host/", "farspan://host/")]
    [InlineData("nbd+unix:///?socket=/tmp/s", "nbd+unix:///?socket=/tmp/t")]
    [InlineData("nbd+unix:///a?socket=/tmp/s", "nbd+unix:///b?socket=/tmp/s")]
    [InlineData("file:/tmp/disk", "directory:/tmp/disk")]
    [InlineData("file:/tmp/disk", "file:/tmp/Disk")]
    [InlineData("redis://host/0?a=1", "redis://host/0?a=2")]
    [InlineData("http://host/a", "https://host/a")]
    [InlineData("http://host/a%2Fb", "http://host/a/b")]
    [InlineData("http://host/a?b=1", "http://host/a?b=2")]
    public Task DifferentBackends_HaveDifferentIdentities(string one, string other)
    {
        Assert.NotEqual(BackendUri.Parse(one).Identity, BackendUri.Parse(other).Identity);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task RelativePath_IsThatOfTheWorkingDirectory()
    {
        Assert.Equal($"file:{Path.GetFullPath("disk")}", BackendUri.Parse("disk").Identity);
        Assert.Equal($"nbd+unix:///?socket={Path.GetFullPath("s")}", BackendUri.Parse("nbd+unix:///?socket=s").Identity);
        return Task.CompletedTask;
    }
}
