using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Transports;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

public sealed class NbdUriTests
{
    [Theory]
    [InlineData("nbd://host", "host", 10809, "")]
    [InlineData("nbd://host/", "host", 10809, "")]
    [InlineData("nbd://host:1234/disk", "host", 1234, "disk")]
    [InlineData("nbd://127.0.0.1:1/a%20b%2Fc", "127.0.0.1", 1, "a b/c")]
    [InlineData("nbd://host//absolute", "host", 10809, "/absolute")]
    [InlineData("nbd://host/zweiter%20%C3%A4", "host", 10809, "zweiter ä")]
    [InlineData("nbd://[::1]:99/x", "::1", 99, "x")]
    public void Tcp_HasHostPortAndName(string text, string host, int port, string name)
    {
        var options = NbdClientOptions.Parse(BackendUri.Parse(text));
        Assert.Equal(StreamEndpoint.Tcp(host, port), options.Endpoint);
        Assert.Equal(name, options.ExportName);
        Assert.Null(options.Tls);
    }

    [Theory]
    [InlineData("nbd+unix:///?socket=/run/nbd.sock", "/run/nbd.sock", "")]
    [InlineData("nbd+unix:///disk?socket=/run/a%20b", "/run/a b", "disk")]
    [InlineData("nbd+unix:////disk?socket=s", "s", "/disk")]
    public void Unix_HasSocketAndName(string text, string socket, string name)
    {
        var options = NbdClientOptions.Parse(BackendUri.Parse(text));
        Assert.Equal(StreamEndpoint.Unix(socket), options.Endpoint);
        Assert.Equal(name, options.ExportName);
    }

    [Fact]
    public void Tls_HasItsParameters()
    {
        var options = NbdClientOptions.Parse(BackendUri.Parse("nbds+unix:///?socket=s&tls-certificates=/certs&tls-hostname=name&tls-verify-peer=off"));
        Assert.Equal(new NbdTlsOptions { CertificateDirectory = "/certs", HostName = "name", VerifyPeer = false }, options.Tls);
        Assert.Equal(new NbdTlsOptions(), NbdClientOptions.Parse(BackendUri.Parse("nbds://host")).Tls);
    }

    [Fact]
    public void Parameters_WinOverWhatTheCallerOpensWith()
    {
        var open = new BackendOpenOptions { ReadOnly = true, Timeout = TimeSpan.FromSeconds(7) };
        var plain = NbdClientOptions.Parse(BackendUri.Parse("nbd://host"), open);
        Assert.True(plain.ReadOnly);
        Assert.Equal(TimeSpan.FromSeconds(7), plain.RequestTimeout);
        Assert.Equal(TimeSpan.FromSeconds(7), plain.ConnectTimeout);
        var told = NbdClientOptions.Parse(BackendUri.Parse("nbd://host?timeout=250ms&reconnect=5s&connections=2&requests=8&unflushed=32MiB"), open);
        Assert.Equal(TimeSpan.FromMilliseconds(250), told.RequestTimeout);
        Assert.Equal(TimeSpan.FromSeconds(5), told.ReconnectTimeout);
        Assert.Equal((2, 8, 32L << 20), (told.MaximumConnections, told.RequestsPerConnection, told.UnflushedBudget));
    }

    [Theory]
    [InlineData("nbd:///disk", "no host")]
    [InlineData("nbd://user@host", "user")]
    [InlineData("nbd://host:99999", "99999")]
    [InlineData("nbd://host?socket=s", "socket")]
    [InlineData("nbd+unix:///disk", "socket")]
    [InlineData("nbd+unix://host/disk?socket=s", "host")]
    [InlineData("nbd://host?tls-certificates=d", "nbds")]
    [InlineData("nbd+unix:///?socket=s&tls-hostname=h", "nbds+unix")]
    [InlineData("nbds://host?tls-psk-file=f", "pre-shared")]
    [InlineData("nbd://host?connections=0", "1 to 16")]
    [InlineData("nbd://host?connections=17", "1 to 16")]
    [InlineData("nbd://host?requests=many", "1 to 1024")]
    [InlineData("nbd://host?timeout=0s", "timeout")]
    [InlineData("nbd://host?timeout=soon", "soon")]
    [InlineData("nbd://host?unflushed=1KiB", "nflushed")]
    [InlineData("nbd://host?nonsense=1", "nonsense")]
    public void WhatDoesNotFit_IsNamed(string text, string words)
    {
        var error = Assert.Throws<FormatException>(() => NbdClientOptions.Parse(BackendUri.Parse(text)));
        Assert.Contains(words, error.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void NameOverFourThousandBytes_IsRefused()
        => Assert.Throws<FormatException>(() => NbdClientOptions.Parse(BackendUri.Parse($"nbd://host/{new string('x', 4097)}")));
}
