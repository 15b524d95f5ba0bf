using Farspan.Transports;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Transports;

public sealed class StreamEndpointTests
{
    [Theory]
    [InlineData("", "localhost", 10809)]
    [InlineData(":99", "localhost", 99)]
    [InlineData("example.org", "example.org", 10809)]
    [InlineData("example.org:1", "example.org", 1)]
    [InlineData("127.0.0.1:0", "127.0.0.1", 0)]
    [InlineData("[::1]", "::1", 10809)]
    [InlineData("[fe80::1]:65535", "fe80::1", 65535)]
    public void TcpText_IsParsed(string text, string host, int port)
    {
        var endpoint = StreamEndpoint.Parse(text, 10809);
        Assert.Equal((host, port, null), (endpoint.Host, endpoint.Port, endpoint.Path));
    }

    [Theory]
    [InlineData("unix:relative.sock", "relative.sock")]
    [InlineData("/run/x.sock", "/run/x.sock")]
    [InlineData("./x:1.sock", "./x:1.sock")]
    public void UnixText_IsParsed(string text, string path) => Assert.Equal(path, StreamEndpoint.Parse(text, 1).Path);

    [Theory]
    [InlineData("host:port")]
    [InlineData("host:65536")]
    [InlineData("host:-1")]
    [InlineData("host: 1")]
    [InlineData("::1")]
    [InlineData("[::1")]
    [InlineData("[::1]x")]
    [InlineData("[::1]:")]
    [InlineData("[example.org]:1")]
    [InlineData("a b:1")]
    [InlineData("unix:")]
    public void BadText_IsFormatException(string text) => Assert.Throws<FormatException>(() => StreamEndpoint.Parse(text, 1));

    [Fact]
    public void UnixPath_TooLong_IsFormatException()
    {
        Assert.Equal(107, StreamEndpoint.Unix(new string('x', 107)).Path!.Length);
        Assert.Throws<FormatException>(() => StreamEndpoint.Unix(new string('x', 108)));
        Assert.Throws<FormatException>(() => StreamEndpoint.Unix(new string('é', 54)));
    }

    [Theory]
    [InlineData("localhost:1", true)]
    [InlineData("127.9.9.9:1", true)]
    [InlineData("[::1]:1", true)]
    [InlineData("unix:x", true)]
    [InlineData("0.0.0.0:1", false)]
    [InlineData("[::]:1", false)]
    [InlineData("example.org:1", false)]
    public void IsLocal_TellsLoopback(string text, bool local) => Assert.Equal(local, StreamEndpoint.Parse(text, 1).IsLocal);

    [Fact]
    public void AnyEndpoint_TextParsesBackToIt()
    {
        var hosts = Gen.Elements("localhost", "10.0.0.1", "::1", "fe80::2", "a.example");
        var endpoints = Gen.OneOf(
            from host in hosts from port in Gen.Choose(0, 65535) select StreamEndpoint.Tcp(host, port),
            from name in Gen.Elements("/a", "b c", "x:1", "[d]") select StreamEndpoint.Unix(name));
        Prop.ForAll(endpoints.ToArbitrary(), e => StreamEndpoint.Parse(e.ToString(), 7).Equals(e)).QuickCheckThrowOnFailure();
    }
}
