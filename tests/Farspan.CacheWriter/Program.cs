using Farspan.Linux.Files;
using Farspan.Mounts.Caching;
using Farspan.TestKit.Contracts;

// usage: Farspan.CacheWriter DIRECTORY CHUNKS CHUNK-SIZE FIRST. Writes the parts of chunks, each with the bytes of its number, one after another from
// number FIRST on, four at a time, and says "written N" when all before N are: a killed process must not lose those. Every 64 it flushes, and
// gives the chunk before away as clean, and forgets it again. It goes on until it is killed.
int chunkSize = int.Parse(args[2]);
long chunkCount = long.Parse(args[1]);
int part = chunkSize / 4;
await using var cache = await DirectoryChunkCache.OpenAsync(new DirectoryCacheOptions
{
    Files = CacheDirectory.Open(args[0], path => LinuxFileBackend.Open(path), DirectorySync.Sync),
    Remote = "test:",
    Length = chunkCount * chunkSize,
    ChunkSize = chunkSize,
    BootId = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim(),
    CheckpointInterval = TimeSpan.FromMilliseconds(20),
    CompactionBytes = 4096,
});
for (long number = long.Parse(args[3]); number + 4 <= chunkCount * 4; number += 4)
{
    await Task.WhenAll(Enumerable.Range(0, 4).Select(async i =>
    {
        await cache.NoteDirtyAsync(number / 4, i * part, part, default);
        await cache.WriteAsync((number + i) * part, BackendModel.Bytes((int)number + i, part), default);
    }));
    Console.WriteLine($"written {number + 4}");
    if (number % 64 != 0)
        continue;
    await cache.FlushAsync(default);
    cache.NoteClean(number / 4, 0);
    await cache.FlushAsync(default);
    Console.WriteLine($"forgetting {number / 4}");
    await cache.DiscardAsync(number / 4, 1, default);
    Console.WriteLine($"forgotten {number / 4}");
}
