using Farspan.Cli.Serving;
using Farspan.Transports;
using Xunit;

namespace Farspan.Cli.Tests.Serving;

public sealed class ListenUriTests
{
    [Theory(Timeout = 120_000)]
    [InlineData("nbd://127.0.0.1:10809", "nbd://127.0.0.1:10809/")]
    [InlineData("nbd://127.0.0.1", "nbd://127.0.0.1:10809/")]
    [InlineData("nbd://[::1]:5", "nbd://[::1]:5/")]
    [InlineData("nbd+unix:///?socket=/tmp/a b", "nbd+unix:///?socket=/tmp/a%20b")]
    [InlineData("farspan://127.0.0.1", "farspan://127.0.0.1:10900/")]
    [InlineData("farspan+unix:///?socket=/tmp/s", "farspan+unix:///?socket=/tmp/s")]
    public Task Listener_HasAUriForClients(string listen, string forClients)
    {
        var parsed = ListenUri.Parse(listen);
        Assert.Equal(forClients, ListenUri.ForClient(parsed.Endpoint, "", tls: false, parsed.IsFarspan));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task ExportName_IsEscapedInTheUri()
    {
        Assert.Equal("nbds://h:1/a%20b/%3Fc", ListenUri.ForClient(StreamEndpoint.Tcp("h", 1), "a b/?c", tls: true));
        return Task.CompletedTask;
    }

    [Theory(Timeout = 120_000)]
    [InlineData("nbd://0.0.0.0:1", false)]
    [InlineData("farspan://0.0.0.0:1", false)]
    [InlineData("nbd://127.0.0.1:1", true)]
    [InlineData("nbd://localhost:1", true)]
    [InlineData("nbd+unix:///?socket=/tmp/s", true)]
    public Task OtherMachines_NeedTlsOrInsecure(string listen, bool isLocal)
    {
        var settings = new ExportSettings { Listen = [ListenUri.Parse(listen)] };
        Assert.Equal(isLocal, IsTaken(settings));
        settings.Check(isInsecure: true);
        Assert.True(IsTaken(settings with { Tls = new() { CertificateDirectory = "/x" } }));
        Assert.Equal(isLocal, IsTaken(settings with { Tls = new() { CertificateDirectory = "/x", Required = false } }));
        return Task.CompletedTask;
    }

    private static bool IsTaken(ExportSettings settings) => Record.Exception(() => settings.Check(isInsecure: false)) is null;
}
