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
        await using var user = PeerProcess.Start(FuseHost.Program, ["--use-userfaults", "naive", "600"]);
        await user.WaitUntilAsync(u => u.Output.Contains("using", StringComparison.Ordinal));
        await Eventually.HoldsAsync(() => StandsAsync(user.Id));
        Assert.False(user.HasExited, user.Report);
        await user.SignalAsync("KILL");
        await user.WaitForExitAsync(TimeSpan.FromSeconds(60));
    }

    /// <summary>Whether a thread waits for a page, and the one that brings pages has not moved at all for a while: otherwise it does thousands of times.</summary>
    private static async Task<bool> StandsAsync(int process)
    {
        try
        {
            string[] threads = Directory.GetDirectories($"/proc/{process}/task");
            string? server = threads.FirstOrDefault(task => Read(task, "comm").StartsWith("fault 0", StringComparison.Ordinal));
            if (server is null || !threads.Any(task => Read(task, "wchan").Contains("handle_userfault", StringComparison.Ordinal)))
                return false;
            string before = Switches(server);
            await Task.Delay(TimeSpan.FromSeconds(3));
            return before == Switches(server);
        }
        catch (IOException)
        {
            // A thread that ended meanwhile.
            return false;
        }

        static string Read(string task, string file) => File.ReadAllText(Path.Combine(task, file));
        static string Switches(string task) => Read(task, "status") is var status ? status[status.IndexOf("voluntary_ctxt_switches", StringComparison.Ordinal)..] : "";
    }
}
