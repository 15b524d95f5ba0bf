using Farspan.Linux.Userfaults;
using Farspan.Stages;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;
using InjectedKind = Farspan.Stages.FaultKind;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>Threads that wait for what does not come: they get an error or a signal, never zeroes, and nothing of the region is left behind.</summary>
public sealed class RegionEndTests
{
    private const int Chunk = 16 << 10;

    // By user mode, which gets signals; in a process of its own, which they end.
    [RequiresTheory("userfault", "userfault:POISON", "sh")]
    [InlineData("failing", 7, "touching\n")]
    [InlineData("closing", 11, "touching\nclosed \n")]
    [InlineData("deaf", 11, "touching\nclosed A call of the backend has not ended, and was left behind.\n")]
    public async Task NativeTouch_OfWhatDoesNotCome_EndsInASignal(string trouble, int signal, string said)
    {
        await using var toucher = await PeerProcess.RunAsync(
            "sh", ["-c", "ulimit -c 0; exec \"$1\" --touch-userfaults \"$2\"", "sh", FuseHost.Program, trouble], TimeSpan.FromSeconds(90));
        Assert.Equal(128 + signal, toucher.ExitCode);
        Assert.StartsWith(toucher.Output, said, StringComparison.Ordinal);
    }

    [RequiresTheory("root", "userfault", "userfault:POISON")]
    [InlineData(64)]
    [InlineData(66)]
    public async Task FailingRemote_IsAnErrorForTheKernel_UntilItIsAskedForAgain(int chunks)
    {
        await using var world = new RegionWorld(chunks * Chunk);
        world.Faulty.Fail(FaultKind.Read);
        Assert.Null(await world.PeekAsync(5));
        Assert.Null(await world.PeekAsync(Chunk - 1));
        Assert.Equal(0, world.Service.CountWritten());
        world.Faulty.Heal();
        Assert.Equal(world.Byte(3 * Chunk), await world.PeekAsync(3 * Chunk));
        Assert.Null(await world.PeekAsync(5));
        await world.Service.AcquireAsync(0, 1, RegionUse.Reading, default);
        world.Service.Release(0, 1, RegionUse.Reading);
        Assert.Equal(world.Byte(5), await world.PeekAsync(5));
        await world.Service.SaveAsync(default);
        Assert.Equal(0, world.Service.CountWritten());
    }

    [RequiresFact("root", "userfault")]
    public async Task Stop_LetsEveryWaitingThreadGo_WithAnError_AndLeavesNoThread()
    {
        var world = new RegionWorld(64 * Chunk, new RegionOptions { ChunkSize = Chunk, ReadAhead = 0, Name = "ending" });
        Assert.Contains(Threads(), name => name.EndsWith("ending", StringComparison.Ordinal));
        using var stall = world.Injected.Inject(new FaultRule { Kind = InjectedKind.Stall, Operations = BackendOperation.Read });
        var touches = Enumerable.Range(0, 16).Select(index => world.PeekAsync(index / 2 * Chunk)).ToArray();
        await Eventually.HoldsAsync(() => world.Service.Counters.Faults >= touches.Length);
        await world.DisposeAsync();
        Assert.All(await Task.WhenAll(touches), found => Assert.Null(found));
        Assert.DoesNotContain(Threads(), name => name.EndsWith("ending", StringComparison.Ordinal));
    }

    private static IEnumerable<string> Threads() => Directory.GetDirectories("/proc/self/task").Select(static task =>
    {
        try
        {
            return File.ReadAllText(Path.Combine(task, "comm")).TrimEnd('\n');
        }
        catch (IOException)
        {
            // It ended since it was listed.
            return "";
        }
    });
}
