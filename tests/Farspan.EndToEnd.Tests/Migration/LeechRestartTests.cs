using System.Net;
using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.EndToEnd.Tests.Managed;
using Farspan.EndToEnd.Tests.NbdServer;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>The program <c>farspan leech</c>, ended and killed on its way, and told what cannot be.</summary>
public sealed class LeechRestartTests
{
    private const int Length = 2 << 20;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    [RequiresFact("fuse", "root")]
    public async Task CtrlC_BeforeTheHandOver_GivesUp_AndTheProgramGoesOnAtTheSource()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await WriteRandomAsync(directory["here"]);
        await using var seed = await SeedAsync(directory, "--on-suspend", $"echo $FARSPAN_EVENT >> {directory["hooks"]}", "--listen", "farspan://127.0.0.1:0");
        await using (var leech = Leech(directory, UriOf(seed), "--finalize", "manual"))
        {
            await leech.WaitUntilAsync(peer => Last(peer, "progress") is { } progress && progress.GetProperty("missing").GetInt64() == 0, s_patience);
            await leech.SignalAsync("INT");
            await leech.WaitForExitAsync(s_patience);
            Assert.True(leech.ExitCode == 0, leech.Report);
            Assert.NotNull(Last(leech, "given-up"));
        }

        await seed.WaitUntilAsync(peer => Last(peer, "given-up") is not null, s_patience);
        Assert.False(File.Exists(directory["hooks"]));
        Assert.False(File.Exists(directory["destination"]));
        bytes.AsSpan(5000, 3000).Clear();
        await WriteAsync(directory["source"], 5000, new byte[3000]);
        Assert.Contains("owner", await Program(directory).OkAsync("region", directory["here"]), StringComparison.Ordinal);

        // The same command moves it after all.
        await using var again = Leech(directory, UriOf(seed), "--finalize", "0s");
        await again.WaitUntilAsync(peer => Last(peer, "completed") is not null, s_patience);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["destination"]));
    }

    [RequiresFact("fuse", "root")]
    public async Task Killed_WhileItFollows_WhileItReceives_AndWhenAllIsThere_TheSameCommandGoesOn()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await WriteRandomAsync(directory["here"]);
        await using var seed = await SeedAsync(directory, "--listen", "farspan://127.0.0.1:0");
        int port = new Uri(UriOf(seed)).Port;
        await using var line = new CuttableLine(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, port)) { Delay = TimeSpan.FromMilliseconds(20) };
        string[] more = ["--finalize", "manual", "--on-resume", $"echo $FARSPAN_EPOCH >> {directory["resumed"]}"];
        string uri = $"farspan://{line.Here}/";
        await using (var following = Leech(directory, uri, more))
        {
            await following.WaitUntilAsync(peer => Last(peer, "ready") is not null, s_patience);
            Assert.Equal("following", await RoleAsync(directory));
            await following.SignalAsync("KILL");
            await following.WaitForExitAsync(s_patience);
        }

        Assert.Equal("following", await RoleAsync(directory));
        await using (var receiving = Leech(directory, uri, more))
        {
            await receiving.WaitUntilAsync(peer => Last(peer, "ready") is not null, s_patience);
            await Program(directory).OkAsync("finalize", directory["destination"]);
            await receiving.WaitUntilAsync(peer => Last(peer, "received") is not null, s_patience);
            line.Hold();
            await receiving.SignalAsync("KILL");
            await receiving.WaitForExitAsync(s_patience);
        }

        Assert.Equal("receiving", await RoleAsync(directory));
        line.Release();
        line.Delay = TimeSpan.Zero;
        await using (var complete = Leech(directory, uri, more))
        {
            await complete.WaitUntilAsync(peer => Last(peer, "completed") is not null, s_patience);
            Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["destination"]));
            await complete.SignalAsync("KILL");
            await complete.WaitForExitAsync(s_patience);
        }

        await seed.WaitForExitAsync(s_patience);
        Assert.True(seed.ExitCode == 0, seed.Report);
        Assert.Equal("owner", await RoleAsync(directory));
        Assert.Equal(["2", "2"], await File.ReadAllLinesAsync(directory["resumed"]));
        Assert.Contains("owns the region", await Program(directory).FailsAsync(1, "leech", uri, directory["destination"], "--local", $"file:{directory["there"]}"), StringComparison.Ordinal);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["there"]));
    }

    [RequiresFact("fuse", "root")]
    public async Task KilledWhereItIsMovedOn_TheSameCommandGoesOn_AndWhoFollowsNeedNotBeginAnew()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await WriteRandomAsync(directory["here"]);
        await using var seed = await SeedAsync(directory, "--listen", "farspan://127.0.0.1:0", "--chunk", "4KiB");
        string[] more = ["--finalize", "0s", "--listen", $"farspan+unix:///?socket={directory["s"]}"];
        await using (var first = Leech(directory, UriOf(seed), more))
        {
            await first.WaitUntilAsync(peer => Last(peer, "seeding") is not null, s_patience);
            await first.SignalAsync("KILL");
            await first.WaitForExitAsync(s_patience);
        }

        await using var again = Leech(directory, UriOf(seed), more);
        await again.WaitUntilAsync(peer => Last(peer, "ready") is not null, s_patience);
        await using var leecher = await TestLeecher.ConnectAsync($"farspan+unix:///?socket={directory["s"]}");
        Assert.Equal(4096, leecher.ChunkSize);
        await leecher.TrackAsync();
        await leecher.FinalizeAsync();
        await leecher.CopyAllAsync();
        Assert.Equal(bytes, leecher.Bytes);
        await leecher.CloseAsync();
        await again.WaitForExitAsync(s_patience);
        Assert.True(again.ExitCode == 0, again.Report);
    }

    [RequiresFact("fuse", "root")]
    public async Task LocalStoreOfAnotherLength_OrASourceThatIsNone_IsOneClearError()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        await WriteRandomAsync(directory["here"]);
        await File.WriteAllBytesAsync(directory["there"], new byte[Length / 2]);
        await using var seed = await SeedAsync(directory, "--listen", "farspan://127.0.0.1:0");
        string error = await Program(directory).FailsAsync(1, "leech", UriOf(seed), directory["destination"], "--local", $"file:{directory["there"]}");
        Assert.Contains(directory["there"], error, StringComparison.Ordinal);
        Assert.Contains($"{Length / 2}", error, StringComparison.Ordinal);
        Assert.Contains($"{Length}", error, StringComparison.Ordinal);
        Assert.False(File.Exists(directory["destination"]));
        await using var server = await Program(directory).ServeAsync("memory:1MiB", "--listen", $"farspan+unix:///?socket={directory["s"]}");
        await Program(directory).FailsAsync(1, "leech", $"farspan+unix:///?socket={directory["s"]}", directory["destination"], "--local", $"file:{directory["other"]}");
        Assert.False(File.Exists(directory["other"]));
    }

    [RequiresFact("fuse", "root", "certtool")]
    public async Task Tls_MovesARegionBetweenThoseWhoTrustEachOther()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await WriteRandomAsync(directory["here"]);
        await Certificates.MakeAsync(directory["pki"], "rsa");
        await using var seed = await SeedAsync(directory, "--listen", "farspans://127.0.0.1:0", "--tls-certificates", directory["pki"], "--tls-verify-peer");
        int port = new Uri(UriOf(seed)).Port;
        string local = $"file:{directory["there"]}";
        await Program(directory).FailsAsync(1, "leech", $"farspans://127.0.0.1:{port}/", directory["destination"], "--local", local, "--timeout", "5s");
        await Program(directory).FailsAsync(1, "leech", $"farspan://127.0.0.1:{port}/", directory["destination"], "--local", local, "--timeout", "5s");
        await using var leech = Leech(directory, $"farspans://127.0.0.1:{port}/?tls-certificates={directory["pki"]}&tls-hostname=localhost", "--finalize", "0s");
        await leech.WaitUntilAsync(peer => Last(peer, "completed") is not null, s_patience);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["destination"]));
        await seed.WaitForExitAsync(s_patience);
        Assert.True(seed.ExitCode == 0, seed.Report);
    }

    private static FarspanProcess Program(TemporaryDirectory directory) => new(directory);

    private static async Task<PeerProcess> SeedAsync(TemporaryDirectory directory, params string[] more)
    {
        var seed = Program(directory).Start(["seed", $"file:{directory["here"]}", directory["source"], "--json", .. more]);
        await seed.WaitUntilAsync(peer => Last(peer, "ready") is not null, s_patience);
        return seed;
    }

    private static PeerProcess Leech(TemporaryDirectory directory, string uri, params string[] more)
        => Program(directory).Start(["leech", uri, directory["destination"], "--local", $"file:{directory["there"]}", "--json", .. more]);

    private static string UriOf(PeerProcess seed) => Last(seed, "ready")!.Value.GetProperty("uris")[0].GetString()!;

    private static async Task<string> RoleAsync(TemporaryDirectory directory)
    {
        using var said = JsonDocument.Parse(await Program(directory).OkAsync("region", directory["there"], "--json"));
        return said.RootElement.GetProperty("role").GetString()!;
    }

    private static JsonElement? Last(PeerProcess process, string what)
        => process.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)
            .LastOrDefault(line => line.GetProperty("event").GetString() == what) is { ValueKind: JsonValueKind.Object } found ? found : null;

    private static async Task<byte[]> WriteRandomAsync(string path)
    {
        byte[] bytes = new byte[Length];
        new Random(Length).NextBytes(bytes);
        await File.WriteAllBytesAsync(path, bytes);
        return bytes;
    }

    private static async Task WriteAsync(string path, long offset, byte[] bytes)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        file.Position = offset;
        await file.WriteAsync(bytes);
        file.Flush(flushToDisk: true);
    }
}
