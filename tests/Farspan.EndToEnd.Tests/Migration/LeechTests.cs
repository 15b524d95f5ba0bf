using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>The program <c>farspan leech</c>: moved on from, restarted, and without its seeder.</summary>
public sealed class LeechTests
{
    private const int Length = 32 << 20;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    [RequiresFact("fuse", "root", "dd")]
    public async Task ARegionMovesOnAndBack_WithoutAnEndOfItsFile_AndTheNextHostWaitsForTheOneBefore()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await FillAsync(directory["a.img"]);
        await using var a = Start(directory, "seed", $"file:{directory["a.img"]}", directory["a"], "--listen", At(directory, "a"), "--json");
        await SeesAsync(a, "ready");
        await using var b = Start(directory, [.. Leech(directory, "a", "b"), "--finalize", "manual", "--listen", At(directory, "b"), .. Hooks(directory, "b")]);
        await SeesAsync(b, "ready");
        await using var c = Start(directory, [.. Leech(directory, "b", "c"), "--finalize", "0s", "--listen", At(directory, "c"), .. Hooks(directory, "c")]);
        await SeesAsync(c, "trouble");
        Assert.Contains("does not own the region", c.Output, StringComparison.Ordinal);

        await new FarspanProcess(directory).OkAsync("finalize", directory["b"]);
        await SeesAsync(b, "seeding");
        await SeesAsync(c, "seeding");
        await a.WaitForExitAsync(s_patience);
        await b.WaitForExitAsync(s_patience);
        Assert.True((a.ExitCode, b.ExitCode) == (0, 0), $"{a.Report}\n{b.Report}");
        Assert.Equal(["ready", "received", "completed", "seeding", "leecher", "handed-over", "released"], Events(b));
        Assert.Equal(["b resume", "b suspend", "c resume"], await File.ReadAllLinesAsync(directory["hooks"]));
        await WriteAsync(directory["c"], 5, bytes);

        // The way back takes little, and what is here then is seeded by the same command.
        await using var back = Start(directory, [.. Leech(directory, "c", "a"), "--finalize", "0s", "--listen", At(directory, "a"), .. Hooks(directory, "a")]);
        await SeesAsync(back, "seeding");
        Assert.InRange(Last(back, "completed").GetProperty("moved").GetInt64(), 1 << 20, 2 << 20);
        await c.WaitForExitAsync(s_patience);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["a"]));
        await back.SignalAsync("KILL");
        await back.WaitForExitAsync(s_patience);
        await using var again = Start(directory, [.. Leech(directory, "c", "a"), "--listen", At(directory, "a"), .. Hooks(directory, "a")]);
        await SeesAsync(again, "ready");
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["a"]));
        await again.SignalAsync("INT");
        await again.WaitForExitAsync(s_patience);
        Assert.True(again.ExitCode == 0, again.Report);
        Assert.Equal(["b resume", "b suspend", "c resume", "c suspend", "a resume", "a resume"], await File.ReadAllLinesAsync(directory["hooks"]));
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["a.img"]));
    }

    [RequiresFact("fuse", "root", "dd")]
    public async Task AnOwnerThatIsRestarted_RunsItsProgram_WhileItsSeederDoesNotAnswer()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await FillAsync(directory["a.img"]);
        await using var store = Start(directory, "serve", $"file:{directory["a.img"]}", "--listen", At(directory, "store"), "--simulate-line", "rtt=0ms,rate=200Mbit");
        await store.WaitForSocketAsync(directory["store.sock"], s_patience);
        string[] seed = ["seed", At(directory, "store"), directory["a"], "--state", directory["a.state"], "--listen", At(directory, "a"), "--json"];
        string[] leech = [.. Leech(directory, "a", "b"), "--finalize", "0s", .. Hooks(directory, "b")];
        await using (var a = Start(directory, seed))
        {
            await SeesAsync(a, "ready");
            await using var b = Start(directory, leech);
            await SeesAsync(b, "received");
            await a.SignalAsync("KILL");
            await b.SignalAsync("KILL");
            await a.WaitForExitAsync(s_patience);
            await b.WaitForExitAsync(s_patience);
        }

        await using var restarted = Start(directory, leech);
        await SeesAsync(restarted, "received");
        Assert.True(Last(restarted, "received").GetProperty("missing").GetInt64() > 0, restarted.Report);
        await Eventually.HoldsAsync(() => File.ReadAllLines(directory["hooks"]).Length == 2);
        await WriteAsync(directory["b"], 9, bytes);
        await using var source = Start(directory, seed);
        await SeesAsync(restarted, "completed");
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["b"]));
        await source.WaitForExitAsync(s_patience);
        Assert.True(source.ExitCode == 0, source.Report);
        await restarted.SignalAsync("INT");
        await restarted.WaitForExitAsync(s_patience);
        Assert.True(restarted.ExitCode == 0, restarted.Report);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["b.img"]));
    }

    private static string At(TemporaryDirectory directory, string host) => "farspan+unix:///?socket=" + directory[host + ".sock"];

    private static string[] Leech(TemporaryDirectory directory, string from, string to)
        => ["leech", At(directory, from), directory[to], "--local", $"file:{directory[to + ".img"]}", "--json"];

    private static string[] Hooks(TemporaryDirectory directory, string host)
        => [.. new[] { "suspend", "resume" }.SelectMany(what => new[] { $"--on-{what}", $"echo {host} $FARSPAN_EVENT >> {directory["hooks"]}" })];

    private static async Task<byte[]> FillAsync(string file)
    {
        byte[] bytes = new byte[Length];
        new Random(7).NextBytes(bytes);
        await File.WriteAllBytesAsync(file, bytes);
        return bytes;
    }

    // A megabyte of zeroes, whole chunks, which is flushed.
    private static async Task WriteAsync(string file, int megabyte, byte[] bytes)
    {
        bytes.AsSpan(megabyte << 20, 1 << 20).Clear();
        await using var dd = await PeerProcess.RunAsync("dd", ["if=/dev/zero", $"of={file}", "bs=1M", "count=1", $"seek={megabyte}", "conv=notrunc,fsync"]);
        Assert.True(dd.ExitCode == 0, dd.Report);
    }

    private static Task SeesAsync(PeerProcess process, string what)
        => process.WaitUntilAsync(peer => peer.Output.Contains($"\"{what}\"", StringComparison.Ordinal), s_patience);

    private static string[] Events(PeerProcess process)
        => [.. Lines(process).Select(line => line.GetProperty("event").GetString()!).Where(static what => what is not ("progress" or "trouble"))];

    private static JsonElement Last(PeerProcess process, string what) => Lines(process).Last(line => line.GetProperty("event").GetString() == what);

    private static IEnumerable<JsonElement> Lines(PeerProcess process)
        => process.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement);

    private static PeerProcess Start(TemporaryDirectory directory, params string[] arguments) => new FarspanProcess(directory).Start(arguments);
}
