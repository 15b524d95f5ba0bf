using System.Text.Json;
using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Farspan.TestKit.Simulation;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdServer;

/// <summary>libnbd's programs against our server.</summary>
public sealed class LibnbdTests
{
    [RequiresFact("nbdinfo")]
    public async Task Nbdinfo_SeesTheExport()
    {
        await using var server = RunningServer.Start([
            new NbdExport { Name = "first", Description = "a description", Backend = new MemoryBackend(1 << 20) },
            new NbdExport { Name = "zweiter ä", Backend = new MemoryBackend(12345), ReadOnly = true },
        ]);
        using var json = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--json", "--list", server.Uri]));
        Assert.Equal("newstyle-fixed", json.RootElement.GetProperty("protocol").GetString());
        var exports = json.RootElement.GetProperty("exports");
        Assert.Equal(2, exports.GetArrayLength());
        var first = exports[0];
        Assert.Equal("first", first.GetProperty("export-name").GetString());
        Assert.Equal("a description", first.GetProperty("description").GetString());
        Assert.Equal(1 << 20, first.GetProperty("export-size").GetInt64());
        Assert.Equal("base:allocation", Assert.Single(first.GetProperty("contexts").EnumerateArray()).GetString());
        foreach (string power in new[] { "can_cache", "can_df", "can_fast_zero", "can_flush", "can_fua", "can_multi_conn", "can_trim", "can_zero" })
            Assert.True(first.GetProperty(power).GetBoolean(), power);
        Assert.False(first.GetProperty("is_read_only").GetBoolean());
        var second = exports[1];
        Assert.Equal("zweiter ä", second.GetProperty("export-name").GetString());
        Assert.True(second.GetProperty("is_read_only").GetBoolean());
        Assert.False(second.GetProperty("can_zero").GetBoolean());
    }

    [RequiresFact("nbdinfo")]
    public async Task Nbdinfo_ShowsTheMapsOfAManagedMount()
    {
        const int Chunk = 64 << 10;
        await using var mount = await ManagedBackend.OpenAsync(
            new MemoryBackend(16 * Chunk),
            new ManagedMountOptions { ChunkSize = Chunk, BackgroundPull = BackgroundPull.Nothing, PushInterval = TimeSpan.FromDays(1) });
        await mount.WriteAsync(4 * Chunk, new byte[2 * Chunk]);
        await using var server = RunningServer.Start(mount);
        using var info = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--json", "--no-content", server.Uri]));
        var contexts = info.RootElement.GetProperty("exports")[0].GetProperty("contexts").EnumerateArray().Select(context => context.GetString());
        Assert.Equal(["base:allocation", "x-farspan:local", "x-farspan:dirty"], contexts);
        (long, long, int)[] stripe = [(0, 4 * Chunk, 0), (4 * Chunk, 2 * Chunk, 1), (6 * Chunk, 10 * Chunk, 0)];
        Assert.Equal(stripe, await MapAsync(server.Uri, "x-farspan:dirty"));
        Assert.Equal(stripe, await MapAsync(server.Uri, "x-farspan:local"));
        await mount.FlushAsync();
        Assert.Equal([(0, 16 * Chunk, 0)], await MapAsync(server.Uri, "x-farspan:dirty"));
        Assert.Equal(stripe, await MapAsync(server.Uri, "x-farspan:local"));
    }

    private static async Task<List<(long Offset, long Length, int Flags)>> MapAsync(string uri, string context)
    {
        using var map = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", [$"--map={context}", "--json", uri]));
        return [.. map.RootElement.EnumerateArray().Select(run => (
            run.GetProperty("offset").GetInt64(), run.GetProperty("length").GetInt64(), run.GetProperty("type").GetInt32()))];
    }

    [RequiresFact("nbdsh")]
    public async Task Nbdsh_GetsSeveralContextsInOneReply()
    {
        await using var backend = new MappedBackend(new MemoryBackend(1 << 20), ("local", MappedBackend.Stripes(256 << 10)), ("dirty", MappedBackend.Stripes(512 << 10)));
        await using var server = RunningServer.Start(backend);
        const string Script = """
            import nbd, sys
            h = nbd.NBD()
            for name in ["base:allocation", "x-farspan:dirty", "x-farspan:local"]: h.add_meta_context(name)
            h.connect_uri(sys.argv[1])
            h.block_status(1 << 20, 0, lambda context, at, entries, error: print(context, at, entries) or 0)
            h.block_status(1 << 20, 0, lambda context, at, entries, error: print(context, at, entries) or 0, nbd.CMD_FLAG_REQ_ONE)
            """;
        string printed = await PeerProcess.RunOkAsync("/usr/bin/python3", ["-c", Script, server.Uri]);
        string[] expected =
        [
            "base:allocation 0 [1048576, 3]", "x-farspan:local 0 [262144, 0, 262144, 1, 262144, 0, 262144, 1]", "x-farspan:dirty 0 [524288, 0, 524288, 1]",
            "base:allocation 0 [1048576, 3]", "x-farspan:local 0 [262144, 0]", "x-farspan:dirty 0 [524288, 0]",
        ];
        Assert.Equal(expected, printed.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [RequiresFact("nbdcopy", "nbdinfo")]
    public async Task Nbdcopy_BothWays_KeepsEveryByte()
    {
        await using var server = RunningServer.Start(new MemoryBackend(48 << 20));
        byte[] content = new byte[48 << 20];
        new Random(1).NextBytes(content.AsSpan(5 << 20, 30 << 20));
        await File.WriteAllBytesAsync(server.Directory["in"], content);
        await PeerProcess.RunOkAsync("nbdcopy", [server.Directory["in"], server.Uri]);
        await PeerProcess.RunOkAsync("nbdcopy", [server.Uri, server.Directory["out"]]);
        byte[] copy = await File.ReadAllBytesAsync(server.Directory["out"]);
        Assert.True(content.AsSpan().SequenceEqual(copy));
        string map = await PeerProcess.RunOkAsync("nbdinfo", ["--map", server.Uri]);
        Assert.Contains("hole,zero", map, StringComparison.Ordinal);
    }
}
