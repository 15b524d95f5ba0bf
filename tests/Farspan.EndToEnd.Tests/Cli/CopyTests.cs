using System.Text.Json;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

public sealed class CopyTests
{
    [RequiresFact("nbdkit", "cmp")]
    public async Task BothWaysOverNbd_BytesAreEqualAndHolesStayHoles()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await WriteSparseAsync(directory["source.img"]);
        await using var nbdkit = PeerProcess.Start("nbdkit", ["-f", "-U", directory["k"], "memory", "64M"]);
        await nbdkit.WaitForSocketAsync(directory["k"]);
        string uri = $"nbd+unix:///?socket={directory["k"]}";

        await farspan.OkAsync("copy", "file:source.img", uri, "--verify");
        using var report = JsonDocument.Parse(await farspan.OkAsync("copy", uri, "file:copy.img", "--verify", "--json"));
        Assert.True(report.RootElement.GetProperty("verified").GetBoolean());
        Assert.True(report.RootElement.GetProperty("bytesWritten").GetInt64() <= 1 << 20);
        await PeerProcess.RunOkAsync("cmp", [directory["source.img"], directory["copy.img"]]);
    }

    [Fact(Timeout = 120_000)]
    public async Task SmallerDestination_IsRefusedWithBothSizes()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        string line = await farspan.FailsAsync(1, "copy", "memory:2MiB", "memory:1MiB");
        Assert.Contains("1048576", line);
        Assert.Contains("2097152", line);
    }

    [RequiresFact("nbdkit")]
    public async Task Interrupted_SaysHowFarItCame_AndResumeFinishes()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        string uri = $"nbd+unix:///?socket={directory["k"]}";
        await using (var slow = PeerProcess.Start("nbdkit", ["-f", "-U", directory["k"], "--filter=rate", "random", "64M", "seed=1", "rate=80M"]))
        {
            await slow.WaitForSocketAsync(directory["k"]);
            await using var copy = farspan.Start("copy", uri, "file:copy.img", "--progress");
            await copy.WaitUntilAsync(peer => peer.Error.Contains("copy: ", StringComparison.Ordinal), TimeSpan.FromSeconds(60));
            await copy.SignalAsync("INT");
            await copy.WaitForExitAsync(TimeSpan.FromSeconds(60));
            Assert.True(copy.ExitCode == 1, copy.Report);
            Assert.Contains("holds the first", copy.Error);
        }

        // The same bytes from a new server: the rate filter of nbdkit 1.32 may end all of it when a client leaves.
        File.Delete(directory["k"]);
        await using var nbdkit = PeerProcess.Start("nbdkit", ["-f", "-U", directory["k"], "random", "64M", "seed=1"]);
        await nbdkit.WaitForSocketAsync(directory["k"]);
        await farspan.OkAsync("copy", uri, "file:copy.img", "--resume", "--verify");
    }

    private static async Task WriteSparseAsync(string path)
    {
        await using var file = File.Create(path);
        file.SetLength(64 << 20);
        byte[] block = new byte[100_000];
        foreach (int at in (int[])[0, 5_000_000, 33_333_333])
        {
            new Random(at).NextBytes(block);
            file.Position = at;
            await file.WriteAsync(block);
        }
    }
}
