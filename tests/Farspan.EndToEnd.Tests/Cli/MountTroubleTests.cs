using System.Net.Sockets;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>Direct mounts whose remote fails, as the user of the program sees them.</summary>
public sealed class MountTroubleTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    [RequiresFact("fuse", "nbdkit", "dd")]
    public async Task LastFlushFails_EveryUmountWaitsForItAndSaysSo()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var nbdkit = PeerProcess.Start(
            "nbdkit",
            [
                "-f", "-U", directory["s"], "eval", "get_size=echo 1M", "pread=head -c $3 /dev/zero", "can_write=exit 0", "pwrite=cat >/dev/null", "can_flush=exit 0",
                $"flush=touch {directory["flushing"]}; while [ ! -e {directory["go"]} ]; do sleep 0.05; done; echo EIO the disk is broken >&2; exit 1",
            ]);
        await nbdkit.WaitForSocketAsync(directory["s"]);
        await farspan.OkAsync("mount", $"nbd+unix:///?socket={directory["s"]}", "f", "--direct");
        await PeerProcess.RunOkAsync("dd", ["if=/dev/zero", $"of={directory["f"]}", "bs=4096", "count=1", "conv=notrunc", "status=none"]);
        await using var first = farspan.Start("umount", "f");
        await first.WaitUntilAsync(_ => File.Exists(directory["flushing"]), s_patience);
        await using var second = farspan.Start("umount", "f");
        // The second has begun once its process runs; what it then must not do is report before the flush has ended.
        Assert.False(first.HasExited, first.Report);
        await File.WriteAllTextAsync(directory["go"], "");
        await first.WaitForExitAsync(s_patience);
        await second.WaitForExitAsync(s_patience);
        AssertOneErrorLine(first, "not everything is safe");
        AssertOneErrorLine(first, "The last flush failed");
        AssertOneErrorLine(second, "");
        await nbdkit.DisposeAsync();
        Assert.Empty(farspan.Leftovers());
        Assert.Equal(["flushing", "go"], Directory.GetFileSystemEntries(directory.Path).Select(Path.GetFileName).Except(["run", "s"]).Order());
    }

    [RequiresFact("fuse", "nbdkit", "dd")]
    public async Task ServerIsKilledBeforeTheFlush_UmountSaysWhatMayBeLost()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using (var nbdkit = PeerProcess.Start("nbdkit", ["-f", "-U", directory["s"], "memory", "1M"]))
        {
            await nbdkit.WaitForSocketAsync(directory["s"]);
            await farspan.OkAsync("mount", $"nbd+unix:///?socket={directory["s"]}", "f", "--direct", "--timeout", "1s");
            await PeerProcess.RunOkAsync("dd", ["if=/dev/zero", $"of={directory["f"]}", "bs=4096", "count=1", "conv=notrunc", "status=none"]);
            await nbdkit.SignalAsync("KILL");
            await nbdkit.WaitForExitAsync(s_patience);
        }

        string line = await farspan.FailsAsync(1, "umount", "f");
        Assert.Contains("is unmounted, but not everything is safe at", line, StringComparison.Ordinal);
        Assert.Empty(farspan.Leftovers());
        Assert.False(File.Exists(directory["f"]));
    }

    [RequiresTheory("fuse")]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task SignalWhileTheRemoteDoesNotAnswer_EndsTheMount_AndLeavesNothing(string signal)
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        using var silent = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        silent.Bind(new UnixDomainSocketEndPoint(directory["s"]));
        silent.Listen();
        await using var mount = farspan.Start("mount", $"nbd+unix:///?socket={directory["s"]}", "f", "--direct");
        using (await silent.AcceptAsync().WaitAsync(s_patience))
        {
            await mount.SignalAsync(signal);
            await mount.WaitForExitAsync(s_patience);
        }

        Assert.NotEqual(0, mount.ExitCode);
        Assert.True(mount.Error.TrimEnd('\n').Split('\n').Length == 1 && mount.Error.StartsWith("farspan mount: ", StringComparison.Ordinal), mount.Report);
        Assert.Empty(farspan.Leftovers());
        Assert.False(File.Exists(directory["f"]));
        Assert.Empty(Directory.GetFiles(directory["run"]));
    }

    private static void AssertOneErrorLine(PeerProcess program, string text)
    {
        Assert.True(program.ExitCode == 1, program.Report);
        Assert.True(program.Error.TrimEnd('\n').Split('\n').Length == 1, program.Report);
        Assert.Contains(text, program.Error, StringComparison.Ordinal);
    }
}
