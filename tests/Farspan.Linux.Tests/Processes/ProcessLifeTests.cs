using System.Globalization;
using Farspan.Linux.Processes;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Processes;

public sealed class ProcessLifeTests
{
    [Fact]
    public void LivingProcess_HasOneStart()
    {
        long? start = ProcessLife.StartOf(Environment.ProcessId);
        Assert.NotNull(start);
        Assert.Equal(start, ProcessLife.StartOf(Environment.ProcessId));
    }

    [RequiresFact("sleep")]
    public async Task LaterProcess_HasAnotherStart_SoThatItsNumberAloneProvesNothing()
    {
        await using var later = PeerProcess.Start("sleep", ["100"]);
        Assert.True(ProcessLife.StartOf(later.Id) > ProcessLife.StartOf(Environment.ProcessId));
    }

    [RequiresFact("sleep")]
    public async Task ProcessThatHasEnded_IsDead()
    {
        await using var process = PeerProcess.Start("sleep", ["0"]);
        await process.WaitForExitAsync(TimeSpan.FromSeconds(60));
        Assert.Null(ProcessLife.StartOf(process.Id));
    }

    [RequiresFact("python3")]
    public async Task Zombie_IsDead()
    {
        const string script = """
            import os, sys
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            print(child, flush=True)
            sys.stdin.read()
            """;
        await using var parent = PeerProcess.Start("python3", ["-c", script]);
        await parent.WaitUntilAsync(p => p.Output.EndsWith('\n'));
        int zombie = int.Parse(parent.Output, CultureInfo.InvariantCulture);
        Assert.True(Directory.Exists($"/proc/{zombie}"));
        Assert.Null(ProcessLife.StartOf(zombie));
    }

    // proc(5): the name stands in parentheses and may hold some itself, and spaces.
    [RequiresFact("python3")]
    public async Task NameLikeTheFieldsAfterIt_IsPassedOver()
    {
        const string script = "import ctypes, sys\nctypes.CDLL(None).prctl(15, b'a) Z 0 0 (b', 0, 0, 0)\nprint('named', flush=True)\nsys.stdin.read()";
        await using var process = PeerProcess.Start("python3", ["-c", script]);
        await process.WaitUntilAsync(p => p.Output.Length > 0);
        Assert.Contains("a) Z", await File.ReadAllTextAsync($"/proc/{process.Id}/stat"), StringComparison.Ordinal);
        Assert.True(ProcessLife.StartOf(process.Id) > ProcessLife.StartOf(Environment.ProcessId));
    }
}
