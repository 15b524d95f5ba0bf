using System.Text.Json;
using Farspan.Backends;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
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
