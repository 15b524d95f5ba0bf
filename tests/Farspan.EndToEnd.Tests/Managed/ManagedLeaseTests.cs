using System.Diagnostics;
using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.TestKit;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>Managed mounts of what lets one of them write: Farspan's own wire, and local files.</summary>
public sealed class ManagedLeaseTests : IDisposable
{
    private const string Remote = "farspan+unix:///?socket=s";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private readonly TemporaryDirectory _directory = new();
    private readonly FarspanProcess _farspan;

    public ManagedLeaseTests() => _farspan = new FarspanProcess(_directory);

    public void Dispose() => _directory.Dispose();

    [RequiresFact("fuse", "dd")]
    public async Task SecondWriterIsRefused_UntilTheFirstHasUnmounted_AndTheStatusShowsTheEpoch()
    {
        await using var server = await _farspan.ServeAsync("memory:1MiB", "--listen", Remote);
        await _farspan.OkAsync("mount", Remote, "f");
        long first = await EpochAsync("f");
        Assert.Contains("Another writer holds the lease", await _farspan.FailsAsync(1, "mount", Remote, "g"));
        await _farspan.OkAsync("mount", Remote, "g", "--read-only");
        await _farspan.OkAsync("umount", "g");
        await ManagedMountTests.ZeroAsync(_directory["f"], 3);
        await _farspan.OkAsync("umount", "f");
        await _farspan.OkAsync("mount", Remote, "f");
        Assert.True(await EpochAsync("f") > first);
        await _farspan.OkAsync("umount", "f");
    }

    [RequiresFact("fuse")]
    public async Task LeaseLostInAnOutage_NothingOfTheOldWriterArrives_ItSaysSo_AndItsNextMountAsks()
    {
        await using var server = new LeasingServer(_directory["s"], 1 << 20, TimeSpan.FromMilliseconds(500));
        await using var line = new CuttableLine(_directory["line"], _directory["s"]);
        string[] far =
        [
            "mount", "farspan+unix:///?socket=line", "f", "--cache", "one", "--push-interval", "100ms", "--timeout", "10s", "--outage-timeout", "2s", "--close-timeout", "2s",
        ];
        await _farspan.OkAsync(far);
        Write("f", 0, 1, isFlushed: true);
        line.Cut();
        Write("f", 65536, 2, isFlushed: false);

        // Given as soon as the first has been silent for long enough.
        await UntilAsync(async () =>
        {
            await using var mounting = await _farspan.RunAsync("mount", Remote, "g", "--cache", "two");
            return mounting.ExitCode == 0;
        });
        Write("g", 0, 3, isFlushed: true);
        Write("g", 65536, 3, isFlushed: true);
        line.Restore();
        await UntilAsync(async () => (await StatusAsync("f")).GetProperty("isFenced").GetBoolean());
        Assert.Contains("lost to another writer", await _farspan.OkAsync("status", "f"));
        Assert.Throws<IOException>(() => Write("f", 131072, 4, isFlushed: true));
        string left = await _farspan.FailsAsync(1, "umount", "f");
        Assert.Contains($"(1 bytes) were not pushed; they are kept in {_directory["one"]}", left);
        Assert.Contains("Another writer has taken over", left);
        Assert.Equal((3, 3, 0), (await server.ByteAsync(0), await server.ByteAsync(65536), await server.ByteAsync(131072)));

        Assert.Contains("Another writer holds the lease", await _farspan.FailsAsync(1, far));
        await _farspan.OkAsync("umount", "g");
        Assert.Contains("1 B in it were not pushed", await _farspan.FailsAsync(1, far));
        await _farspan.OkAsync([.. far, "--on-conflict", "push"]);
        Assert.Equal(3, (await ManagedMountTests.ReadAsync(_directory["f"], 0, 1))[0]);
        await _farspan.OkAsync("umount", "f");
        Assert.Equal((3, 2), (await server.ByteAsync(0), await server.ByteAsync(65536)));
        Assert.Empty(_farspan.Leftovers());
    }

    [RequiresFact("fuse", "root")]
    public async Task MountKilled_TheNextWithItsCacheTakesOverAtOnce_AndPushesWhatIsDirty()
    {
        // Nobody could wait for this holder's silence.
        await using var server = new LeasingServer(_directory["s"], 1 << 20, TimeSpan.FromHours(12));
        string[] mount = ["mount", Remote, "f", "--cache", "one", "--flush", "local", "--push-interval", "1h"];
        await _farspan.OkAsync(mount);
        Write("f", 4096, 2, isFlushed: true);
        long epoch = await EpochAsync("f");
        await KillAsync("f");
        Assert.Equal(0, await server.ByteAsync(4096));
        Assert.Contains("Another writer holds the lease", await _farspan.FailsAsync(1, "mount", Remote, "g", "--cache", "two"));
        await _farspan.OkAsync(mount);
        Assert.True(await EpochAsync("f") > epoch);
        Assert.Equal(1, (await StatusAsync("f")).GetProperty("dirtyBytes").GetInt64());
        await _farspan.OkAsync("umount", "f");
        Assert.Equal(2, await server.ByteAsync(4096));
        Assert.Empty(_farspan.Leftovers());
    }

    [RequiresFact("fuse")]
    public async Task File_HasOneWriter_AndACacheNoticesWhoCameBetween()
    {
        string[] mount = ["mount", "file:disk?size=1MiB", "f", "--cache", "one"];
        await _farspan.OkAsync(mount);
        Assert.Contains("in use elsewhere", await _farspan.FailsAsync(1, "mount", "file:disk", "g"));
        await _farspan.OkAsync("mount", "file:disk?lock=off", "g", "--read-only");
        await _farspan.OkAsync("umount", "g");
        Write("f", 4096, 2, isFlushed: true);
        Assert.Equal(2, (await ManagedMountTests.ReadAsync(_directory["f"], 4096, 1))[0]);
        await _farspan.OkAsync("umount", "f");

        // A server that speaks NBD only, and so gives no leases.
        await using (var server = await _farspan.ServeAsync("file:disk", "--listen", "nbd+unix:///?socket=n"))
        {
            await _farspan.OkAsync("mount", "nbd+unix:///?socket=n", "g", "--direct");
            Write("g", 4096, 3, isFlushed: true);
            await _farspan.OkAsync("umount", "g");
        }

        await _farspan.OkAsync(mount);
        Assert.Equal(3, (await ManagedMountTests.ReadAsync(_directory["f"], 4096, 1))[0]);
        await _farspan.OkAsync("umount", "f");
        Assert.Empty(_farspan.Leftovers());
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        for (long begun = Stopwatch.GetTimestamp(); !await condition();)
            Assert.True(Stopwatch.GetElapsedTime(begun) < Patience);
    }

    private void Write(string target, long offset, byte value, bool isFlushed)
    {
        using var file = File.OpenHandle(_directory[target], FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.Write(file, [value], offset);
        if (isFlushed)
            RandomAccess.FlushToDisk(file);
    }

    private async Task<JsonElement> StatusAsync(string target)
    {
        using var status = JsonDocument.Parse(await _farspan.OkAsync("status", target, "--json"));
        return status.RootElement.Clone();
    }

    private async Task<long> EpochAsync(string target) => (await StatusAsync(target)).GetProperty("leaseEpoch").GetInt64();

    private async Task KillAsync(string target)
    {
        using var process = Process.GetProcessById((await StatusAsync(target)).GetProperty("processId").GetInt32());
        process.Kill();
        await process.WaitForExitAsync();
    }
}
