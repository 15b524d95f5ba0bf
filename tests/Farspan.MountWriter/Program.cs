using System.Text;
using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.Mounts;
using Farspan.Mounts.Caching;
using Farspan.TestKit.Crashes;

// usage: Farspan.MountWriter CACHE REMOTE LOG CHUNK-SIZE FLUSH-MODE CACHE-LIMIT FIRST-VERSION. Mounts the file REMOTE with the cache directory CACHE;
// four writers write their slots, and flush now and then, and write down in LOG what they begin and what was acknowledged, until it is killed.
string log = args[2];
int chunkSize = int.Parse(args[3]);
int limit = int.Parse(args[5]);
int version = int.Parse(args[6]);
var options = new ManagedMountOptions
{
    ChunkSize = chunkSize,
    CacheDirectory = args[0],
    RemoteName = "file",
    Flush = Enum.Parse<FlushMode>(args[4]),
    CacheSizeLimit = limit == 0 ? null : limit,
    PushInterval = TimeSpan.FromMilliseconds(10),
    DirtySoftLimit = 64 << 10,
    MemoryBudget = 1 << 20,
};
var remote = LinuxFileBackend.Open(args[1]);
var cache = await DirectoryChunkCache.OpenAsync(new DirectoryCacheOptions
{
    Files = CacheDirectory.Open(args[0], path => LinuxFileBackend.Open(path), DirectorySync.Sync),
    Remote = "file",
    Length = remote.Length,
    ChunkSize = chunkSize,
    BootId = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim(),
    CheckpointInterval = TimeSpan.FromMilliseconds(5),
    CompactionBytes = 2048,
});
await using var mount = await ManagedBackend.OpenAsync(remote, cache, options);
using var journal = new FileStream(log, FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
_ = Task.Run(EndWithTheTestAsync);
Console.WriteLine("ready");
await Task.WhenAll(Enumerable.Range(0, SlotPattern.WriterCount).Select(writer => Task.Run(() => WriteAsync(writer))));

async Task WriteAsync(int writer)
{
    var random = new Random(version + writer);
    for (int i = 1; ; i++)
    {
        int slot = (random.Next(SlotPattern.SlotCount / SlotPattern.WriterCount) * SlotPattern.WriterCount) + writer;
        int number = Interlocked.Increment(ref version);
        Note($"begin {slot} {number}");
        await mount.WriteAsync((long)slot * SlotPattern.SlotLength, SlotPattern.Bytes(slot, number));
        Note($"end {slot}");
        if (i % 8 != 0)
            continue;
        await mount.FlushAsync();
        Note($"flushed {writer}");
    }
}

// Console.In reads on the calling thread, also by its asynchronous methods.
async Task EndWithTheTestAsync()
{
    await Console.In.ReadToEndAsync();
    Environment.Exit(1);
}

void Note(string line)
{
    byte[] bytes = Encoding.ASCII.GetBytes(line + "\n");
    lock (journal)
        journal.Write(bytes);
}
