using System.Buffers;
using Farspan.Chunks;
using Farspan.Mounts.Caching;
using Farspan.Mounts.Caching.Journal;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Tests.Mounts.Caching;

/// <summary>A region of 1 TiB in chunks of 64 KiB, all of them clean.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class LargeCacheTests
{
    private const int ChunkSize = 64 << 10;
    private const long ChunkCount = 1 << 24;

    [Fact(Timeout = 240_000)]
    public async Task AllClean_TakesFiveBytesAChunk_HereAndInTheJournal()
    {
        using var directory = new TemporaryDirectory();
        var options = new DirectoryCacheOptions
        {
            Files = CacheDirectory.Open(directory["cache"]), Remote = "memory:", Length = ChunkCount * ChunkSize, ChunkSize = ChunkSize, BootId = "boot",
        };
        await using (var data = await options.Files.OpenDataAsync(DirectoryChunkCache.DataName, options.Length))
        await using (await JournalFile.CreateAsync(options.Files, CacheOpening.Header(options, generation: 1), AllClean()))
        {
        }

        await options.Files.DisposeAsync();
        Assert.InRange(new FileInfo(Path.Combine(directory["cache"], JournalFile.Name)).Length, ChunkCount * 4, ChunkCount * 5);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        await using var cache = await DirectoryChunkCache.OpenAsync(options with { Files = CacheDirectory.Open(directory["cache"]) });
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, 0, ChunkCount * 5);
        Assert.Equal(ChunkCount, cache.Recovered.LongCount(chunk => chunk.IsWhole && chunk.DirtyRanges.Count == 0));
    }

    private static ChunkNotes AllClean()
    {
        var notes = new ChunkNotes(new ChunkLayout(ChunkCount * ChunkSize, ChunkSize));
        uint[] checksums = new uint[JournalRecord.LongestRun];
        for (long first = 0; first < ChunkCount; first += checksums.Length)
        {
            for (int i = 0; i < checksums.Length; i++)
                checksums[i] = (uint)(first + i);
            var bytes = new ArrayBufferWriter<byte>();
            JournalRecord.WriteChecksums(bytes, RecordKind.Clean, first, checksums);
            var rest = bytes.WrittenSpan;
            Assert.True(JournalRecord.TryRead(ref rest, notes.Layout, out var record));
            notes.Apply(record, areBytesTrusted: true);
        }

        return notes;
    }
}
