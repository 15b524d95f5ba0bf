using Farspan.Linux.Userfaults;
using Farspan.Mounts;
using Farspan.TestKit;
using Farspan.TestKit.Crashes;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>
/// A process with a region and its writers is killed at any moment: while it opens, saves, flushes, drops chunks for others. What was flushed is at the
/// remote, or where that was asked for in the cache directory, for the next process to have.
/// </summary>
public sealed class KilledRegionTests : IDisposable
{
    private const int Page = 4096;

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [RequiresTheory("userfault", Timeout = 3_600_000)]
    [InlineData(Page, FlushMode.Local, true, 16 * Page)]
    [InlineData(Page, FlushMode.Remote, false, 64 * Page)]
    [InlineData(16 * Page, FlushMode.Remote, true, 16 * 16 * Page)]
    [InlineData(16 * Page, FlushMode.Remote, false, 0)]
    public async Task Killed_LosesNothingThatWasFlushed(int chunkSize, FlushMode flush, bool hasCache, int limit)
    {
        await File.WriteAllBytesAsync(_directory["remote"], new byte[SlotPattern.Length]);
        string cache = hasCache ? _directory["cache"] : "-";
        var truth = new SlotTruth();
        var random = new Random(chunkSize + limit);
        int rounds = LongRun.IsAskedFor ? 75 : 3;
        for (int round = 0; round < rounds; round++)
        {
            string log = _directory[$"log{round}"];
            string[] arguments = [cache, _directory["remote"], log, $"{chunkSize}", $"{flush}", $"{limit}", $"{1 + (round * 100_000)}"];
            await using (var writer = PeerProcess.Start(TestProgram.Path("Farspan.RegionWriter"), arguments))
            {
                // Some are killed while they open, most once they have flushed.
                int kind = round == 0 ? 0 : random.Next(6);
                if (kind < 4)
                    await writer.WaitUntilAsync(_ => File.Exists(log) && File.ReadAllText(log).Contains("flushed", StringComparison.Ordinal));
                else if (kind < 5)
                    await writer.WaitUntilAsync(w => w.Output.Contains("ready", StringComparison.Ordinal));
                await Task.Delay(random.Next(120));
                Assert.False(writer.HasExited, writer.Report);
                await writer.SignalAsync("KILL");
                await writer.WaitForExitAsync(TimeSpan.FromSeconds(60));
            }

            if (File.Exists(log))
                truth.Add(await ReadWholeLinesAsync(log));
            if (flush == FlushMode.Remote)
                truth.CheckRemote(await ReadRemoteAsync());
            truth.ForgetUnflushed();

            // Of some kills the next life must make sense by itself.
            if (random.Next(3) != 0 || round == rounds - 1)
                await CheckAsync(truth, chunkSize, hasCache ? cache : null);
        }

        Assert.True(truth.FlushCount > 0);
    }

    private async Task CheckAsync(SlotTruth truth, int chunkSize, string? cache)
    {
        var region = await RemoteMemory.MapAsync($"file:{_directory["remote"]}", new RemoteMemoryOptions { ChunkSize = chunkSize, Cache = cache });
        byte[] found = new byte[SlotPattern.Length];
        await region.CopyToAsync(0, found);
        truth.CheckFlushed(found);
        Assert.Equal(new RemoteMemoryReport(0, 0, null, null), await region.CloseAsync() with { KeptIn = null });
        Assert.Equal(found, await ReadRemoteAsync());
        truth.Take(found);
    }

    /// <summary>Whatever locks it: a process that a test beside this one starts has the region's descriptors, and its lock, for a moment.</summary>
    private async Task<byte[]> ReadRemoteAsync()
    {
        await using var file = new FileStream(_directory["remote"], FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] bytes = new byte[file.Length];
        await file.ReadExactlyAsync(bytes);
        return bytes;
    }

    private static async Task<IEnumerable<string>> ReadWholeLinesAsync(string path)
    {
        string text = await File.ReadAllTextAsync(path);
        return text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
