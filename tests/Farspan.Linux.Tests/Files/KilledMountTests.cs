using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.Mounts;
using Farspan.TestKit;
using Farspan.TestKit.Crashes;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Files;

/// <summary>
/// A process with a managed mount and its writers is killed at any moment: while it opens, pushes, evicts, compacts its journal. Nothing that
/// was acknowledged is lost, nothing that was flushed to the remote is lost there, and once closed the remote equals the mount.
/// </summary>
public sealed class KilledMountTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory(Timeout = 3_600_000)]
    [InlineData(4096, FlushMode.Local, 16 * 4096)]
    [InlineData(4096, FlushMode.Remote, 0)]
    [InlineData(64 << 10, FlushMode.Remote, 16 * (64 << 10))]
    [InlineData(64 << 10, FlushMode.Local, 0)]
    public async Task Killed_LosesNothing(int chunkSize, FlushMode flush, int limit)
    {
        await File.WriteAllBytesAsync(_directory["remote"], new byte[SlotPattern.Length]);
        var truth = new SlotTruth();
        var random = new Random(chunkSize + limit);
        int rounds = LongRun.Rounds(8);
        for (int round = 0; round < rounds; round++)
        {
            string[] arguments =
                [_directory["cache"], _directory["remote"], _directory[$"log{round}"], $"{chunkSize}", $"{flush}", $"{limit}", $"{1 + (round * 100_000)}"];
            await using (var writer = PeerProcess.Start(TestProgram.Path("Farspan.MountWriter"), arguments))
            {
                // Some are killed while they open, some only once they have flushed.
                string log = _directory[$"log{round}"];
                int kind = round == 0 ? 0 : random.Next(6);
                if (kind < 2)
                    await writer.WaitUntilAsync(_ => File.Exists(log) && File.ReadAllText(log).Contains("flushed", StringComparison.Ordinal));
                else if (kind < 5)
                    await writer.WaitUntilAsync(w => w.Output.Contains("ready", StringComparison.Ordinal));
                await Task.Delay(random.Next(120));
                Assert.False(writer.HasExited, writer.Report);
            }

            if (File.Exists(_directory[$"log{round}"]))
                truth.Add(await ReadWholeLinesAsync(_directory[$"log{round}"]));
            if (flush == FlushMode.Remote)
                truth.CheckRemote(await File.ReadAllBytesAsync(_directory["remote"]));

            // Of some kills the next life must make sense by itself.
            if (random.Next(3) != 0 || round == rounds - 1)
                await CheckAsync(truth, chunkSize, limit);
        }

        Assert.True(truth.FlushCount > 0);
    }

    private async Task CheckAsync(SlotTruth truth, int chunkSize, int limit)
    {
        var mount = await ManagedBackend.OpenAsync(LinuxFileBackend.Open(_directory["remote"]), new ManagedMountOptions
        {
            ChunkSize = chunkSize,
            CacheDirectory = _directory["cache"],
            RemoteName = "file",
            CacheSizeLimit = limit == 0 ? null : limit,
            OpenCacheFile = path => LinuxFileBackend.Open(path),
            SyncDirectory = DirectorySync.Sync,
        });
        byte[] found = new byte[SlotPattern.Length];
        await mount.ReadAsync(0, found);
        truth.CheckMount(found);
        var report = await mount.CloseAsync();
        Assert.Equal((0, null), (report.UnpushedBytes, report.Error));
        Assert.Equal(found, await File.ReadAllBytesAsync(_directory["remote"]));
        truth.Take(found);
    }

    private static async Task<IEnumerable<string>> ReadWholeLinesAsync(string path)
    {
        string text = await File.ReadAllTextAsync(path);
        return text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
