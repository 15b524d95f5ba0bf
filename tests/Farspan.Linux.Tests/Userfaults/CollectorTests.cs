using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>The garbage collector beside memory whose pages this process brings, in a process of its own.</summary>
public sealed class CollectorTests
{
    [RequiresTheory("userfault")]
    [InlineData("copy")]
    [InlineData("view")]
    public async Task SafeUse_UnderConstantCollections_NeverHangs(string way)
    {
        string said = await PeerProcess.RunOkAsync(FuseHost.Program, ["--use-userfaults", way, "3"], TimeSpan.FromSeconds(90));
        Assert.StartsWith("using\nused ", said, StringComparison.Ordinal);
    }

    // Why no address is handed out. Only optimised code runs so long between two looks at the collector.
    [RequiresFact("userfault")]
    public async Task NaiveUse_UnderConstantCollections_Hangs()
    {
        await using var user = PeerProcess.Start(FuseHost.Program, ["--use-userfaults", "naive", "1"]);
        await user.WaitUntilAsync(u => u.Output.Contains("using", StringComparison.Ordinal));
        await Eventually.HoldsAsync(() => StandsAsync(user.Id));
        Assert.False(user.HasExited, user.Report);
        await user.SignalAsync("KILL");
        await user.WaitForExitAsync(TimeSpan.FromSeconds(60));
    }

    /// <summary>Whether a thread waits for a page, and has not moved at all for a while: one that is served moves thousands of times.</summary>
    private static async Task<bool> StandsAsync(int process)
    {
        try
        {
            string? thread = Directory.GetDirectories($"/proc/{process}/task")
                .FirstOrDefault(task => File.ReadAllText(Path.Combine(task, "wchan")).Contains("handle_userfault", StringComparison.Ordinal));
            if (thread is null)
                return false;
            string before = await File.ReadAllTextAsync(Path.Combine(thread, "status"));
            await Task.Delay(TimeSpan.FromSeconds(3));
            return Switches(before) == Switches(await File.ReadAllTextAsync(Path.Combine(thread, "status")));
        }
        catch (IOException)
        {
            // A thread that ended meanwhile.
            return false;
        }
    }

    private static string Switches(string status) => status[status.IndexOf("voluntary_ctxt_switches", StringComparison.Ordinal)..];
}
