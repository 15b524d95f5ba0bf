using Xunit;

namespace Farspan.Cli.Tests.Commands;

public sealed class UsageTests
{
    [Theory(Timeout = 120_000)]
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
    [InlineData("--cache is", "mount", "memory:1MiB", "/nowhere/f", "--direct", "--cache", "/nowhere/c")]
    [InlineData("--cache-size", "mount", "memory:1MiB", "/nowhere/f", "--cache-size", "1KiB")]
    [InlineData("--cache DIR", "mount", "memory:1MiB", "/nowhere/f", "--flush", "local")]
    [InlineData("--cache DIR", "mount", "memory:1MiB", "/nowhere/f", "--outage", "local")]
    [InlineData("--flush 'never'", "mount", "memory:1MiB", "/nowhere/f", "--flush", "never")]
    [InlineData("--outage 'panic'", "mount", "memory:1MiB", "/nowhere/f", "--outage", "panic")]
    [InlineData("power of two", "mount", "memory:1MiB", "/nowhere/f", "--chunk", "96KiB")]
    [InlineData("4 KiB to 32 MiB", "mount", "memory:1MiB", "/nowhere/f", "--chunk", "64MiB")]
    [InlineData("/nowhere/trace", "mount", "memory:1MiB", "/nowhere/f", "--pull-order", "/nowhere/trace")]
    [InlineData("'1MiB'", "mount", "memory:1MiB", "/nowhere/f", "--pull-first", "0-1MiB,1MiB")]
    [InlineData("'2-1'", "mount", "memory:1MiB", "/nowhere/f", "--pull-first", "2-1")]
    [InlineData("--pull-workers", "mount", "memory:1MiB", "/nowhere/f", "--pull-workers", "0")]
    [InlineData("--no-pull", "mount", "memory:1MiB", "/nowhere/f", "--no-pull", "--pull-order", "reverse")]
    [InlineData("--push-interval", "mount", "memory:1MiB", "/nowhere/f", "--push-interval", "1ms")]
    [InlineData("--outage-timeout", "mount", "memory:1MiB", "/nowhere/f", "--outage-timeout", "never")]
    [InlineData("--memory", "mount", "memory:1MiB", "/nowhere/f", "--memory", "64KiB")]
    [InlineData("--dirty-limit", "mount", "memory:1MiB", "/nowhere/f", "--dirty-limit", "1")]
    [InlineData("--cache is for a managed mount: give --managed", "serve", "memory:1MiB", "--cache", "/nowhere/c")]
    [InlineData("--cache DIR", "serve", "memory:1MiB", "--managed", "--flush", "local")]
    [InlineData("unrecognized", "serve", "memory:1MiB", "--direct")]
    [InlineData("--insecure", "mount", "memory:1MiB", "/nowhere/f", "--listen", "farspan://0.0.0.0:0")]
    [InlineData("--output", "trace", "record", "memory:1MiB", "/nowhere/f")]
    [InlineData("see farspan trace record --help", "trace", "record", "memory:1MiB", "/nowhere/f", "--output", "/nowhere/t", "--frobnicate")]
    [InlineData("REMOTE and TARGET are missing", "mount")]
    [InlineData("TARGET is missing; see farspan mount --help", "mount", "memory:1MiB")]
    [InlineData("BACKEND is missing", "serve", "--read-only")]
    [InlineData("--lazy", "umount", "/nowhere/f", "--lazy", "--force")]
    [InlineData("--requests", "copy", "memory:1MiB", "memory:1MiB", "--requests", "0")]
    [InlineData("--request-size", "copy", "memory:1MiB", "memory:1MiB", "--request-size", "3KiB")]
    [InlineData("unrecognized option '--frobnicate'", "copy", "--frobnicate", "memory:1MiB")]
    [InlineData("--size", "demo", "--size", "1MiB")]
    [InlineData("speed", "demo", "--line", "speed=9")]
    [InlineData("--chunk 3KiB", "seed", "memory:1MiB", "/nowhere/f", "--chunk", "3KiB")]
    [InlineData("nbd://127.0.0.1:0 is no address", "seed", "memory:1MiB", "/nowhere/f", "--listen", "nbd://127.0.0.1:0")]
    [InlineData("--insecure", "seed", "memory:1MiB", "/nowhere/f", "--listen", "farspan://0.0.0.0:0")]
    [InlineData("--suspend-timeout", "seed", "memory:1MiB", "/nowhere/f", "--suspend-timeout", "0s")]
    [InlineData("--state DIR", "seed", "nbd://127.0.0.1:1/x", "/nowhere/f")]
    [InlineData("ublk", "seed", "memory:1MiB", "/nowhere/f", "--via", "ublk")]
    [InlineData("'--local' is required", "leech", "farspan://127.0.0.1:1/", "/nowhere/f")]
    [InlineData("--finalize soon", "leech", "farspan://127.0.0.1:1/", "/nowhere/f", "--local", "memory:1MiB", "--finalize", "soon")]
    [InlineData("nbd://127.0.0.1:1/ is no address of Farspan's own wire", "leech", "nbd://127.0.0.1:1/", "/nowhere/f", "--local", "memory:1MiB")]
    [InlineData("nbd://127.0.0.1:0 is no address", "leech", "farspan://127.0.0.1:1/", "/nowhere/f", "--local", "memory:1MiB", "--listen", "nbd://127.0.0.1:0")]
    [InlineData("--insecure", "leech", "farspan://127.0.0.1:1/", "/nowhere/f", "--local", "memory:1MiB", "--listen", "farspan://0.0.0.0:0")]
    public async Task WrongValue_OneLineThatNamesItAndExitTwo(string names, params string[] arguments)
    {
        var run = await CommandLine.RunAsync(arguments);
        string line = run.ErrorLine(ExitCodes.Usage);
        Assert.StartsWith(arguments[0] == "trace" ? "farspan trace record: " : $"farspan {arguments[0]}: ", line, StringComparison.Ordinal);
        Assert.Contains(names, line);
        Assert.Empty(run.Output);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("absent", "copy", "file:/nowhere/absent", "memory:1MiB")]
    [InlineData("absent", "info", "file:/nowhere/absent")]
    [InlineData("/nowhere/f", "umount", "/nowhere/f")]
    [InlineData("no region comes to /nowhere/f", "finalize", "/nowhere/f")]
    [InlineData("no region has been seeded or leeched at /nowhere/f", "region", "/nowhere/f")]
    [InlineData("nothing to take back", "seed", "memory:1MiB", "/nowhere/f", "--take-back", "--listen", "farspan://127.0.0.1:0")]
    [InlineData("no process 999999999", "seed", "memory:1MiB", "/nowhere/f", "--program", "999999999")]
    [InlineData("Cannot connect", "leech", "farspan://127.0.0.1:1/", "/nowhere/f", "--local", "memory:1MiB")]
    [InlineData("/nowhere/f", "status", "/nowhere/f")]
    [InlineData("no Farspan mount of yours is at nbd://127.0.0.1:1/", "umount", "nbd://127.0.0.1:1")]
    [InlineData("no Farspan mount of yours is at nbd://127.0.0.1:1/", "status", "nbd://127.0.0.1:1")]
    [InlineData("there is no directory /nowhere", "trace", "record", "memory:1MiB", "/tmp/f", "--output", "/nowhere/t", "--foreground")]
    public async Task Failure_OneLineThatNamesItAndExitOne(string names, params string[] arguments)
    {
        string line = (await CommandLine.RunAsync(arguments)).ErrorLine(ExitCodes.Failed);
        Assert.StartsWith(arguments[0] == "trace" ? "farspan trace record: " : $"farspan {arguments[0]}: ", line, StringComparison.Ordinal);
        Assert.Contains(names, line);
    }
}
