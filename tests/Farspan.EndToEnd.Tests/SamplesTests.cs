using System.Text;
using Farspan.Backends;
using Farspan.Nbd;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests;

/// <summary>The samples do what their page says.</summary>
public sealed class SamplesTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    [Fact(Timeout = 120_000)]
    public async Task ServeMemory_ServesAndShowsWhatAClientWrote()
    {
        await using var sample = PeerProcess.Start(TestProgram.Path("ServeMemory"), []);
        await sample.WaitUntilAsync(peer => peer.Output.Contains("until Ctrl-C", StringComparison.Ordinal), Patience);
        string uri = sample.Output.Split(' ')[1];
        await using (var client = await new BackendRegistry().AddNbdBackends().OpenAsync(uri))
        {
            byte[] greeting = new byte[20];
            await client.ReadAsync(0, greeting);
            Assert.Equal("hello from far away\n", Encoding.UTF8.GetString(greeting));
            await client.WriteAsync(4096, "and back"u8.ToArray());
        }

        await sample.SignalAsync("INT");
        await sample.WaitForExitAsync(Patience);
        Assert.True(sample.ExitCode == 0, sample.Report);
        Assert.EndsWith("written at 4096: and back\n", sample.Output, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task CustomStage_CountsAboveAndBelow()
    {
        using var directory = new TemporaryDirectory();
        string expected = """
            read back: Span<byte>
            asked for: 10 bytes read, 38 written
            the store: 131072 bytes read, 65536 written

            """;
        Assert.Equal(expected, await PeerProcess.RunOkAsync(TestProgram.Path("CustomStage"), []));
        Assert.Equal(expected, await PeerProcess.RunOkAsync(TestProgram.Path("CustomStage"), [$"directory:{directory["chunks"]}?size=1MiB"]));
    }

    [RequiresFact("fuse")]
    public async Task RemoteFile_IsAFileAndMemoryAtOnce()
    {
        using var directory = new TemporaryDirectory();
        var environment = new Dictionary<string, string>
        {
            ["FARSPAN_PROGRAM"] = RepositoryRoot.Combine("farspan"),
            ["FARSPAN_RUNTIME_DIR"] = directory["run"],
        };
        string target = directory["mounted.img"];
        await using var sample = await PeerProcess.RunAsync(
            TestProgram.Path("RemoteFile"), [$"file:{directory["disk.img"]}?size=1MiB", target], Patience, environment: environment);
        Assert.True(sample.ExitCode == 0, sample.Report);
        Assert.Equal(
            $"mounted 1048576 bytes at {target}\nmemory reads: written as a file\nfile reads: WRITTEN as a file\nunmounted\n", sample.Output);
        byte[] stored = await File.ReadAllBytesAsync(directory["disk.img"]);
        Assert.Equal("WRITTEN as a file", Encoding.UTF8.GetString(stored, 4096, 17));
        Assert.DoesNotContain(target, await File.ReadAllTextAsync("/proc/self/mountinfo"), StringComparison.Ordinal);
    }

    [RequiresFact("fuse")]
    public async Task ManagedFile_WritesFlushesAndLeavesNothingDirty()
    {
        using var directory = new TemporaryDirectory();
        string target = directory["mounted.img"];
        string expected = $"mounted 1048576 bytes at {target}\nread: written here\ndirty after the flush: 0 bytes; outage: none\neverything is at the remote\n";
        string[] arguments = [$"file:{directory["disk.img"]}?size=1MiB", target, directory["cache"]];

        // The second time with what the first has left in the cache.
        for (int run = 0; run < 2; run++)
            Assert.Equal(expected, await PeerProcess.RunOkAsync(TestProgram.Path("ManagedFile"), arguments, Patience));
        byte[] stored = await File.ReadAllBytesAsync(directory["disk.img"]);
        Assert.Equal("written here", Encoding.UTF8.GetString(stored, 4096, 12));
    }

    [RequiresFact("fuse", "sha256sum")]
    public async Task ManagedPath_GivesThePathToAnotherProgram_AndShowsHooksProgressAndMeters()
    {
        using var directory = new TemporaryDirectory();
        byte[] bytes = new byte[1 << 20];
        new Random(1).NextBytes(bytes);
        await File.WriteAllBytesAsync(directory["disk.img"], bytes);
        string target = directory["mounted.img"];
        await using var sample = await PeerProcess.RunAsync(TestProgram.Path("ManagedPath"), [$"file:{directory["disk.img"]}", target, "sha256sum"], Patience);
        Assert.True(sample.ExitCode == 0, sample.Report);
        string hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes));
        Assert.Equal(
            $"""
            mounted 1048576 bytes at {target}
            {hash}  {target}
            sha256sum ended with 0
            farspan.mount.pulled: 1048576
            farspan.mount.pushed: 0
            before a round of pushes
            before the close
            became local: 1048576 bytes
            everything is at the remote

            """,
            sample.Output);
        Assert.Contains("of 1048576 bytes are local, 0 dirty\n", sample.Error, StringComparison.Ordinal);
    }

    [RequiresFact("fuse")]
    public async Task ManagedMemory_CountsUpWhatIsFarAway()
    {
        using var directory = new TemporaryDirectory();
        var environment = new Dictionary<string, string>
        {
            ["FARSPAN_PROGRAM"] = RepositoryRoot.Combine("farspan"),
            ["FARSPAN_RUNTIME_DIR"] = directory["run"],
        };
        string[] arguments = [$"file:{directory["disk.img"]}?size=1MiB", directory["mounted.img"], directory["cache"]];
        for (int run = 1; run <= 2; run++)
        {
            await using var sample = await PeerProcess.RunAsync(TestProgram.Path("ManagedMemory"), arguments, Patience, environment: environment);
            Assert.True(sample.ExitCode == 0, sample.Report);
            Assert.Equal(
                $"counted up, dirty after the flush: 0 bytes\nthe first of 512 numbers: {run}\neverything is at the remote\n", sample.Output);
        }

        byte[] stored = await File.ReadAllBytesAsync(directory["disk.img"]);
        Assert.All(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(stored.AsSpan(0, 4096)).ToArray(), number => Assert.Equal(2, number));
    }

    [RequiresFact("userfault")]
    public async Task UserfaultMemory_CountsUpWhatIsFarAway()
    {
        using var directory = new TemporaryDirectory();
        string[] arguments = [$"file:{directory["disk.img"]}?size=64MiB", directory["cache"]];
        for (int run = 1; run <= 2; run++)
        {
            await using var sample = await PeerProcess.RunAsync(TestProgram.Path("UserfaultMemory"), arguments, Patience);
            Assert.True(sample.ExitCode == 0, sample.Report);
            Assert.Equal(
                $"counted to {run}, and at the end stands 'the end.'\n128 KiB of 65536 KiB were in memory\neverything is at the remote\n", sample.Output);
        }

        byte[] stored = await File.ReadAllBytesAsync(directory["disk.img"]);
        Assert.Equal("the end."u8.ToArray(), stored[^8..]);
        Assert.Equal(2, stored[4088]);
    }
}
