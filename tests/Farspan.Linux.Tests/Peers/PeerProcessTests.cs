using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Peers;

public sealed class PeerProcessTests
{
    [RequiresFact("sh", "mkfifo", "cat")]
    public async Task LastLine_ThatComesAfterTheExitIsSeen_IsWaitedFor()
    {
        using var directory = new TemporaryDirectory();
        await PeerProcess.RunOkAsync("mkfifo", [directory["go"]]);
        await using var peer = PeerProcess.Start("sh", ["-c", $"(cat {directory["go"]}; echo last) & exit 3"]);
        while (!peer.HasExited)
            await Task.Yield();
        var waiting = peer.WaitUntilAsync(p => p.Output == "last\n");
        await Task.Run(() => File.WriteAllText(directory["go"], ""));
        await waiting;
        Assert.Equal(3, peer.ExitCode);
    }

    [RequiresFact("sh")]
    public async Task End_WithoutWhatIsWaitedFor_IsAFailureWithTheOutput()
    {
        await using var peer = PeerProcess.Start("sh", ["-c", "echo something else; exit 3"]);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => peer.WaitUntilAsync(p => p.Output.Contains("ready", StringComparison.Ordinal)));
        Assert.Contains("exit 3", error.Message, StringComparison.Ordinal);
        Assert.Contains("something else", error.Message, StringComparison.Ordinal);
    }
}
