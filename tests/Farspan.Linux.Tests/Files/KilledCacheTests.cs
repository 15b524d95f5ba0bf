using System.Globalization;
using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.Mounts.Caching;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Files;

/// <summary>A process that writes through a cache directory is killed at any moment; all that it had written is there, and noted as dirty.</summary>
public sealed class KilledCacheTests : IDisposable
{
    private const int ChunkSize = 8192;
    private const int Part = ChunkSize / 4;
    private const long ChunkCount = 1 << 20;
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = 240_000)]
    public async Task Killed_KeepsWhatWasWritten()
    {
        var random = new Random(1);
        var forgotten = new HashSet<long>();
        long begun = 0;
        long first = 0;
        // On a busy machine a writer may not get as far as forgetting anything in 20 rounds.
        for (int round = 0; round < 20 || (forgotten.Count == 0 && round < 200); round++)
        {
            string output;
            await using (var writer = Start(begun))
            {
                long from = begun;
                await writer.WaitUntilAsync(w => Last(w.Output, "written ") > from);
                await Task.Delay(random.Next(30));
                await writer.SignalAsync("KILL");
                await writer.WaitForExitAsync(TimeSpan.FromSeconds(30));
                output = writer.Output;
            }

            long written = Last(output, "written ");
            forgotten.UnionWith(Numbers(output, "forgetting "));
            var surelyForgotten = Numbers(output, "forgotten ").ToHashSet();
            await using var cache = await OpenAsync();
            var recovered = cache.Recovered.ToDictionary(chunk => chunk.Index);
            for (long number = first; number < written; number++)
            {
                long chunk = number / 4;
                Assert.False(surelyForgotten.Contains(chunk) && recovered.ContainsKey(chunk), $"Chunk {chunk} had been forgotten.");
                if (chunk % 16 == 0)
                    continue;
                int start = (int)(number % 4) * Part;
                Assert.Contains(recovered[chunk].DirtyRanges, range => range.Start <= start && range.Start + range.Length >= start + Part);
            }

            foreach (var chunk in recovered.Values.Where(chunk => chunk.Index >= first / 4))
            {
                foreach (var (start, length) in chunk.DirtyRanges)
                {
                    for (int at = start; at < start + length; at += Part)
                        await AssertPartAsync(cache, (chunk.Index * ChunkSize) + at);
                }
            }

            first = begun = written;
        }

        Assert.NotEmpty(forgotten);
    }

    [Fact(Timeout = 120_000)]
    public async Task InUseByAnotherProcess_IsRefused_AndNamesIt()
    {
        await using var writer = Start(0);
        await writer.WaitUntilAsync(w => Last(w.Output, "written ") > 0);
        var refused = await Assert.ThrowsAsync<BackendException>(OpenAsync);
        Assert.Equal(BackendError.Leased, refused.Error);
        Assert.Contains($"process {writer.Id};", refused.Message, StringComparison.Ordinal);
    }

    private static async Task AssertPartAsync(DirectoryChunkCache cache, long offset)
    {
        byte[] bytes = new byte[Part];
        await cache.ReadAsync(offset, bytes, CancellationToken.None);
        Assert.Equal(BackendModel.Bytes((int)(offset / Part), Part), bytes);
    }

    private static long Last(string output, string word) => Numbers(output, word).LastOrDefault();

    // Whole lines only.
    private static IEnumerable<long> Numbers(string output, string word)
        => output[..(output.LastIndexOf('\n') + 1)].Split('\n').Where(line => line.StartsWith(word, StringComparison.Ordinal) && line.Length > word.Length)
            .Select(line => long.Parse(line.AsSpan(word.Length), CultureInfo.InvariantCulture));

    private PeerProcess Start(long number)
        => PeerProcess.Start(TestProgram.Path("Farspan.CacheWriter"), [_directory["cache"], $"{ChunkCount}", $"{ChunkSize}", $"{number}"]);

    private async Task<DirectoryChunkCache> OpenAsync()
        => await DirectoryChunkCache.OpenAsync(new DirectoryCacheOptions
        {
            Files = CacheDirectory.Open(_directory["cache"], path => LinuxFileBackend.Open(path), DirectorySync.Sync),
            Remote = "test:",
            Length = ChunkCount * ChunkSize,
            ChunkSize = ChunkSize,
            BootId = (await File.ReadAllTextAsync("/proc/sys/kernel/random/boot_id")).Trim(),
        });
}
