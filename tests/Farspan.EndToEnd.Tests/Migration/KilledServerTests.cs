using Farspan.EndToEnd.Tests.Cli;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>A process that is killed while it waits inside the kernel for itself.</summary>
public sealed class KilledServerTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    // Its fsync of the file that it serves is answered by nobody any more: the kernel has to end it, and with it the process, its mount and its locks.
    [RequiresFact("fuse", "root", "dd")]
    public async Task WhileItsOwnFileIsWrittenBack_DiesAllTheSame_AndTheSameCommandGoesOn()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        var program = new FarspanProcess(directory);
        string uri = "farspan+unix:///?socket=" + directory["store.sock"];
        await using var store = program.Start("serve", $"file:{directory["disk"]}?size=1MiB", "--listen", uri);
        await store.WaitForSocketAsync(directory["store.sock"], s_patience);
        string[] seed = ["seed", uri, directory["target"], "--state", directory["state"], "--listen", "farspan+unix:///?socket=" + directory["seed.sock"], "--json"];
        await using (var killed = program.Start(seed))
        {
            await killed.WaitUntilAsync(static peer => peer.Output.Contains("\"ready\"", StringComparison.Ordinal), s_patience);
            await using (var write = await PeerProcess.RunAsync("dd", ["if=/dev/urandom", $"of={directory["target"]}", "bs=4k", "count=1", "conv=notrunc"]))
                Assert.True(write.ExitCode == 0, write.Report);
            await store.SignalAsync("STOP");
            await using var leech = program.Start("leech", "farspan+unix:///?socket=" + directory["seed.sock"], directory["other"], "--local", $"file:{directory["copy"]}");
            await Eventually.HoldsAsync(() => IsInOwnFile(killed.Id));
            await killed.SignalAsync("KILL");
            await Eventually.HoldsAsync(() => !Directory.Exists($"/proc/{killed.Id}") || Directory.GetDirectories($"/proc/{killed.Id}/task").Length <= 1);
            await store.SignalAsync("CONT");
            await leech.SignalAsync("KILL");
            await leech.WaitForExitAsync(s_patience);
            await killed.WaitForExitAsync(s_patience);
        }

        await using var again = program.Start(seed);
        await again.WaitUntilAsync(static peer => peer.Output.Contains("\"ready\"", StringComparison.Ordinal), s_patience);
        await again.SignalAsync("INT");
        await again.WaitForExitAsync(s_patience);
        Assert.True(again.ExitCode == 0, again.Report);
    }

    private static bool IsInOwnFile(int process)
        => Directory.GetDirectories($"/proc/{process}/task").Any(static thread => File.ReadAllText(Path.Combine(thread, "wchan")).Contains("request_wait_answer", StringComparison.Ordinal));
}
