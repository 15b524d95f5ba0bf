using System.Diagnostics;
using System.Globalization;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>Clients of another make that wait for our server to come back after it was killed.</summary>
public sealed class ServerRestartTests
{
    [RequiresTheory("qemu-io")]
    [InlineData("file:disk?size=64MiB")]
    [InlineData("directory:chunks?size=64MiB&chunk=64KiB")]
    public async Task QemuIo_Reconnects_AndFindsAllItWrote(string backend)
    {
        await using var served = await ServedExport.StartAsync("unix", backend);
        await using var qemu = PeerProcess.Start(
            "qemu-io", ["--image-opts", $"driver=nbd,server.type=unix,server.path={served["s"]},reconnect-delay=90"]);
        int expected = 0;
        for (int round = 1; round <= 3; round++)
        {
            await qemu.SayAsync($"write -P {round} {round}M 1M", "flush", $"aio_write -P {round + 10} {round + 10}M 1M", $"aio_write -P {round + 20} {round + 20}M 1M");
            await UntilAsync(q => Count(q.Output, "wrote 1048576/1048576") >= expected + 1);
            await served.KillAsync();

            // Asked for while nobody is there to answer.
            await qemu.SayAsync($"aio_write -P {round + 30} {round + 30}M 1M");
            await served.RestartAsync();
            await qemu.SayAsync("aio_flush", "flush");
            expected += 4;
            await UntilAsync(q => Count(q.Output, "wrote 1048576/1048576") >= expected);
        }

        for (int round = 1; round <= 3; round++)
            await qemu.SayAsync([.. new[] { 0, 10, 20, 30 }.Select(o => string.Create(CultureInfo.InvariantCulture, $"read -P {round + o} {round + o}M 1M"))]);
        await UntilAsync(q => Count(q.Output, "read 1048576/1048576") == 12);
        await qemu.SayAsync("quit", "");
        await qemu.WaitForExitAsync(TimeSpan.FromSeconds(90));
        Assert.Equal(0, qemu.ExitCode);
        Assert.DoesNotContain("verification failed", qemu.Output);
        Assert.DoesNotContain("error", qemu.Output + qemu.Error, StringComparison.OrdinalIgnoreCase);

        // qemu-io leaves lines that came together in its buffer until another one comes.
        async Task UntilAsync(Func<PeerProcess, bool> condition)
        {
            var clock = Stopwatch.StartNew();
            while (!condition(qemu))
            {
                Assert.True(clock.Elapsed < TimeSpan.FromSeconds(90), qemu.Report);
                await qemu.SayAsync("");
                await Task.Delay(50);
            }
        }
    }

    private static int Count(string text, string part) => text.Split(part).Length - 1;
}
