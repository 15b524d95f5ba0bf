using System.Diagnostics;
using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>Mounts that are killed, and servers that go away: what was written is in the cache directory, and the next mount pushes it.</summary>
public sealed class ManagedCrashTests
{
    private static readonly string[] s_keep = ["--cache", "cache", "--flush", "local", "--push-interval", "1h"];

    [RequiresFact("fuse", "root", "dd", "cmp")]
    public async Task MountKilled_NextMountWithTheCacheServesAndPushesWhatWasFlushed()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        await MountAndKillAsync(farspan, directory);
        Assert.NotEqual(-1, (await ManagedMountTests.ReadAsync(directory["disk"], 9 * 4096, 4096)).AsSpan().IndexOfAnyExcept((byte)0));

        await farspan.OkAsync(["mount", "file:disk", "f", .. s_keep]);
        Assert.Equal(-1, (await ManagedMountTests.ReadAsync(directory["f"], 9 * 4096, 4096)).AsSpan().IndexOfAnyExcept((byte)0));
        await farspan.OkAsync("umount", "f");
        Assert.Equal(-1, (await ManagedMountTests.ReadAsync(directory["disk"], 9 * 4096, 4096)).AsSpan().IndexOfAnyExcept((byte)0));
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse", "root", "dd")]
    public async Task MountKilled_StatusAndUmountSayWhereWhatWasWrittenIsKept()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        await MountAndKillAsync(farspan, directory);
        Assert.Contains("has died", await farspan.FailsAsync(1, "status", "f"));
        Assert.Contains(" dead ", await farspan.OkAsync("status"));
        string line = await farspan.FailsAsync(1, "umount", "f");
        Assert.Contains($"kept in {directory["cache"]}", line);
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse", "dd")]
    public async Task ServerGone_UmountSaysWhatIsLeft_AndTheNextMountFinishes()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var served = await ServedExport.StartAsync("unix", "file:disk?size=1MiB&lock=off");
        await ManagedMountTests.WriteRandomAsync(served["disk"], 1 << 20);
        await farspan.OkAsync(["mount", served.Uri, "f", .. s_keep, "--timeout", "2s", "--outage-timeout", "1s", "--close-timeout", "2s"]);
        await ManagedMountTests.ZeroAsync(directory["f"], 9);
        await served.KillAsync();
        string line = await farspan.FailsAsync(1, "umount", "f");
        Assert.Contains("(4096 bytes) were not pushed", line);
        Assert.Contains($"kept in {directory["cache"]}", line);
        Assert.Empty(farspan.Leftovers());

        await served.RestartAsync();
        await farspan.OkAsync(["mount", served.Uri, "f", .. s_keep]);
        await farspan.OkAsync("umount", "f");
        Assert.Equal(-1, (await ManagedMountTests.ReadAsync(served["disk"], 9 * 4096, 4096)).AsSpan().IndexOfAnyExcept((byte)0));
    }

    [RequiresFact("fuse", "dd")]
    public async Task ServerGone_WithoutACacheDirectory_UmountSaysOnceWhatIsLost()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var served = await ServedExport.StartAsync("unix", "memory:1MiB");
        await farspan.OkAsync(
            "mount", served.Uri, "f", "--push-interval", "1h", "--timeout", "1s", "--outage-timeout", "1s", "--close-timeout", "1s");
        await PeerProcess.RunOkAsync("dd", ["if=/dev/zero", $"of={directory["f"]}", "bs=4096", "count=1", "conv=notrunc", "status=none"]);
        await served.KillAsync();
        string line = await farspan.FailsAsync(1, "umount", "f");
        Assert.Contains("(4096 bytes) were not pushed; they are lost", line);
        Assert.Equal(2, line.Split("does not answer").Length);
        Assert.Empty(farspan.Leftovers());
    }

    private static async Task MountAndKillAsync(FarspanProcess farspan, TemporaryDirectory directory)
    {
        using var mounted = JsonDocument.Parse(await farspan.OkAsync(["mount", "file:disk", "f", "--json", .. s_keep]));
        await ManagedMountTests.ZeroAsync(directory["f"], 9);
        using var process = Process.GetProcessById(mounted.RootElement.GetProperty("processId").GetInt32());
        process.Kill();
        await process.WaitForExitAsync();
    }
}
