using System.Text;
using System.Text.Json;
using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>The program <c>farspan uffd-agent</c>, with clients in C and in .NET.</summary>
public sealed class UffdAgentTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [RequiresFact("userfault", "gcc")]
    public async Task CClient_ReadsAPattern()
    {
        using var directory = new TemporaryDirectory();
        string client = await CompileAsync(directory);
        await using var agent = await StartAsync(directory, "pattern:3000001");
        await using var pattern = await new BackendRegistry().AddCoreBackends().OpenAsync("pattern:3000001");
        Assert.Equal($"3000001 bytes, sum {await SumAsync(pattern):x16}\n", await PeerProcess.RunOkAsync(client, [directory["agent"]]));
    }

    [RequiresFact("userfault", "gcc")]
    public async Task CClient_WritesAFile_WhichIsThereWhenItHasFlushed()
    {
        using var directory = new TemporaryDirectory();
        string client = await CompileAsync(directory);
        byte[] bytes = new byte[(2 << 20) + 17];
        new Random(1).NextBytes(bytes);
        await File.WriteAllBytesAsync(directory["disk"], bytes);
        await using (var agent = await StartAsync(directory, $"file:{directory["disk"]}?lock=off"))
        {
            string said = await PeerProcess.RunOkAsync(client, [directory["agent"], "123456", "written in C"]);
            "written in C"u8.CopyTo(bytes.AsSpan(123_456));
            Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["disk"]));
            await using var file = await new BackendRegistry().AddCoreBackends().OpenAsync($"file:{directory["disk"]}?lock=off");
            Assert.Equal($"{bytes.Length} bytes, sum {await SumAsync(file):x16}\n", said);
            await EndAsync(agent);
        }

        Assert.False(File.Exists(directory["agent"]));
    }

    [RequiresFact("userfault")]
    public async Task CtrlC_SavesWhatClientsWrote_AndEventsSaySo()
    {
        using var directory = new TemporaryDirectory();
        string cache = directory["cache"];
        await using var agent = await StartAsync(
            directory, $"file:{directory["disk"]}?size=1MiB&lock=off", "--json", "--managed", "--cache", cache, "--save-interval", "1h", "--push-interval", "1h");
        await using var client = PeerProcess.Start(FuseHost.Program, ["--obey-agent", $"unix:{directory["agent"]}"]);
        await client.WaitUntilAsync(c => c.Output.Contains("mapped", StringComparison.Ordinal));
        await client.SayAsync("write 5000 42");
        await client.WaitUntilAsync(c => c.Output.Contains("written", StringComparison.Ordinal));
        await EndAsync(agent);
        Assert.Equal(42, (await File.ReadAllBytesAsync(directory["disk"]))[5000]);
        await client.SayAsync("lost");
        await client.WaitUntilAsync(c => c.Output.Contains("lost: The agent ends.", StringComparison.Ordinal));
        var events = agent.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(["ready", "client", "gone", "stopped"], events.Select(e => e.GetProperty("event").GetString()));
        Assert.Equal($"unix:{directory["agent"]}", events[0].GetProperty("listen").GetString());
        Assert.Equal(client.Id, events[1].GetProperty("processId").GetInt32());
        Assert.Equal(0, events[2].GetProperty("lost").GetInt64());
        Assert.Equal(4096, events[2].GetProperty("saved").GetInt64());
    }

    // What was flushed is there; what was not is lost; and nothing reads as zero that is not.
    [RequiresFact("userfault")]
    public async Task KilledAgent_EndsTouches_AndANewOneServesWhatWasFlushed()
    {
        using var directory = new TemporaryDirectory();
        string uri = $"file:{directory["disk"]}?size=1MiB&lock=off";
        await using var client = new PeerUser();
        await using (var agent = await StartAsync(directory, uri, "--save-interval", "1h"))
        {
            await client.StartAsync(directory["agent"]);
            await client.TellAsync("write 5000 1", "written");
            await client.TellAsync("flush", "flushed");
            await client.TellAsync("write 5000 2", "written");
            await agent.SignalAsync("KILL");
            await client.TellAsync("lost", "lost: it has ended.");
        }

        Assert.Equal(1, (await File.ReadAllBytesAsync(directory["disk"]))[5000]);
        await client.Process.SayAsync("read 900000");
        await client.Process.WaitForExitAsync(Patience);
        Assert.True(client.Process.ExitCode >= 128, client.Process.Report);
        await using var next = await StartAsync(directory, uri);
        await using var other = new PeerUser();
        await other.StartAsync(directory["agent"]);
        await other.TellAsync("read 5000", "1");
    }

    // The remote stands still, so the touch waits in the kernel when the agent dies.
    [RequiresTheory("userfault", "gcc")]
    [InlineData(true)]
    [InlineData(false)]
    public async Task KilledAgent_EndsATouchThatWaits(bool isInC)
    {
        using var directory = new TemporaryDirectory();
        string uri = $"nbd+unix:///?socket={directory["far"]}";
        await using var far = await new FarspanProcess(directory).ServeAsync("pattern:64MiB", "--listen", uri);
        await using var agent = await StartAsync(directory, uri, "--managed", "--no-pull");
        await using (var first = new PeerUser())
            await first.StartAsync(directory["agent"], 64 << 20);
        await far.SignalAsync("STOP");
        await using var client = isInC
            ? PeerProcess.Start(await CompileAsync(directory), [directory["agent"]])
            : PeerProcess.Start(FuseHost.Program, ["--obey-agent", directory["agent"]]);
        if (!isInC)
            await client.SayAsync("read 50000000");
        await Eventually.HoldsAsync(() => IsWaiting(client.Id));
        await agent.SignalAsync("KILL");
        await client.WaitForExitAsync(Patience);
        Assert.True(isInC ? client.ExitCode == 128 + 7 : client.ExitCode >= 128, client.Report);
    }

    [Fact(Timeout = 120_000)]
    public async Task WrongUse_IsOneLine()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        Assert.Contains("--listen", await farspan.FailsAsync(2, "uffd-agent", "memory:1MiB"), StringComparison.Ordinal);
        Assert.Contains("give unix:PATH", await farspan.FailsAsync(2, "uffd-agent", "memory:1MiB", "--listen", "nbd://127.0.0.1"), StringComparison.Ordinal);
        Assert.Contains("no such user", await farspan.FailsAsync(2, "uffd-agent", "memory:1MiB", "--listen", "unix:a", "--allow", "no-such"), StringComparison.Ordinal);
        Assert.Contains("ChunkSize", await farspan.FailsAsync(2, "uffd-agent", "memory:1MiB", "--listen", "unix:a", "--fault-chunk", "5000"), StringComparison.Ordinal);
        Assert.Contains("is for a managed mount", await farspan.FailsAsync(2, "uffd-agent", "memory:1MiB", "--listen", "unix:a", "--cache", "c"), StringComparison.Ordinal);
        await File.WriteAllTextAsync(directory["file"], "x");
        Assert.Contains("choose another path", await farspan.FailsAsync(1, "uffd-agent", "memory:1MiB", "--listen", $"unix:{directory["file"]}"), StringComparison.Ordinal);
    }

    private static async Task<PeerProcess> StartAsync(TemporaryDirectory directory, string backend, params string[] more)
    {
        var agent = new FarspanProcess(directory).Start(["uffd-agent", backend, "--listen", $"unix:{directory["agent"]}", .. more]);
        await agent.WaitUntilAsync(a => a.Output.Contains('\n', StringComparison.Ordinal));
        return agent;
    }

    private static bool IsWaiting(int process)
    {
        try
        {
            return Directory.GetDirectories($"/proc/{process}/task").Any(task => File.ReadAllText($"{task}/wchan").Contains("handle_userfault", StringComparison.Ordinal));
        }
        catch (IOException)
        {
            // A thread that ended meanwhile.
            return false;
        }
    }

    private static async Task EndAsync(PeerProcess agent)
    {
        await agent.SignalAsync("INT");
        await agent.WaitForExitAsync(Patience);
        Assert.True(agent.ExitCode == 0, agent.Report);
    }

    private static async Task<string> CompileAsync(TemporaryDirectory directory)
    {
        string program = directory["uffd-client"];
        await PeerProcess.RunOkAsync(
            "gcc", ["-Wall", "-Wextra", "-Werror", "-O2", "-pthread", "-o", program, RepositoryRoot.Combine("samples/UffdClientC/uffd-client.c")]);
        return program;
    }

    private static async Task<ulong> SumAsync(IBackend backend)
    {
        byte[] bytes = new byte[backend.Length];
        await backend.ReadAsync(0, bytes);
        return bytes.Aggregate(0UL, static (sum, next) => (sum * 31) + next);
    }

    /// <summary>A process that uses memory of an agent by spans, as it is told.</summary>
    private sealed class PeerUser : IAsyncDisposable
    {
        private readonly StringBuilder _expected = new();

        public PeerProcess Process { get; private set; } = null!;

        public async Task StartAsync(string socket, int length = 1 << 20)
        {
            Process = PeerProcess.Start(FuseHost.Program, ["--obey-agent", socket]);
            await ExpectAsync($"mapped {length}");
        }

        public async Task TellAsync(string line, string answer)
        {
            await Process.SayAsync(line);
            await ExpectAsync(answer);
        }

        public ValueTask DisposeAsync() => Process.DisposeAsync();

        private async Task ExpectAsync(string answer)
        {
            _expected.Append(answer).Append('\n');
            await Process.WaitUntilAsync(process => process.Output.Length >= _expected.Length);
            Assert.Equal(_expected.ToString(), Process.Output);
        }
    }
}
