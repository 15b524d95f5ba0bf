using Xunit;

namespace Farspan.Cli.Tests.Commands;

public sealed class UsageTests
{
    [Theory(Timeout = 60_000)]
    [InlineData("--max-clients 0", "serve", "memory:1MiB", "--max-clients", "0")]
    [InlineData("--insecure", "serve", "memory:1MiB", "--listen", "nbd://0.0.0.0:0")]
    [InlineData("--insecure", "serve", "memory:1MiB", "--listen", "nbd://[::]:0")]
    [InlineData("--insecure", "serve", "memory:1MiB", "--listen", "nbd://192.0.2.1:0")]
    [InlineData("--tls-certificates", "serve", "memory:1MiB", "--tls", "require")]
    [InlineData("--tls-certificates", "serve", "memory:1MiB", "--listen", "nbds://127.0.0.1:0")]
    [InlineData("--name", "serve", "memory:1MiB", "--listen", "nbd://127.0.0.1:0/export")]
    [InlineData("http", "serve", "memory:1MiB", "--listen", "http://127.0.0.1:0")]
    [InlineData("socket", "serve", "memory:1MiB", "--listen", "nbd+unix:///")]
    [InlineData("rtt", "serve", "memory:1MiB", "--simulate-line", "rtt=fast")]
    [InlineData("frob", "serve", "frob:1MiB")]
    [InlineData("lots", "serve", "memory:lots")]
    [InlineData("ublk", "mount", "memory:1MiB", "/nowhere/f", "--via", "ublk")]
    [InlineData("999", "mount", "memory:1MiB", "/nowhere/f", "--mode", "999")]
    [InlineData("soon", "mount", "memory:1MiB", "/nowhere/f", "--timeout", "soon")]
    [InlineData("--lazy", "umount", "/nowhere/f", "--lazy", "--force")]
    [InlineData("--requests", "copy", "memory:1MiB", "memory:1MiB", "--requests", "0")]
    [InlineData("--request-size", "copy", "memory:1MiB", "memory:1MiB", "--request-size", "3KiB")]
    [InlineData("unrecognized option '--frobnicate'", "copy", "--frobnicate", "memory:1MiB")]
    [InlineData("--size", "demo", "--size", "1MiB")]
    [InlineData("speed", "demo", "--line", "speed=9")]
    public async Task WrongValue_OneLineThatNamesItAndExitTwo(string names, params string[] arguments)
    {
        var run = await CommandLine.RunAsync(arguments);
        string line = run.ErrorLine(ExitCodes.Usage);
        Assert.StartsWith($"farspan {arguments[0]}: ", line, StringComparison.Ordinal);
        Assert.Contains(names, line);
        Assert.Empty(run.Output);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("absent", "copy", "file:/nowhere/absent", "memory:1MiB")]
    [InlineData("absent", "info", "file:/nowhere/absent")]
    [InlineData("/nowhere/f", "umount", "/nowhere/f")]
    public async Task Failure_OneLineThatNamesItAndExitOne(string names, params string[] arguments)
    {
        string line = (await CommandLine.RunAsync(arguments)).ErrorLine(ExitCodes.Failed);
        Assert.StartsWith($"farspan {arguments[0]}: ", line, StringComparison.Ordinal);
        Assert.Contains(names, line);
    }
}
