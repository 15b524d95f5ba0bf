using System.Text;
using Farspan.Linux.Userfaults;
using Farspan.Mounts;
using Farspan.TestKit.Crashes;

// usage: Farspan.RegionWriter CACHE REMOTE LOG CHUNK-SIZE FLUSH-MODE RESIDENT-LIMIT FIRST-VERSION. Makes the file REMOTE memory of this process, with the
// cache directory CACHE ('-' for none, 0 for no limit); four writers write their slots through views and copies, and flush now and then, and write down in
// LOG what they begin and what was acknowledged, until it is killed.
string log = args[2];
long limit = long.Parse(args[5]);
int version = int.Parse(args[6]);
var options = new RemoteMemoryOptions
{
    ChunkSize = int.Parse(args[3]),
    ResidentLimit = limit == 0 ? null : limit,
    Cache = args[0] == "-" ? null : args[0],
    SaveInterval = TimeSpan.FromMilliseconds(10),
    Managed = new ManagedMountOptions
    {
        Flush = Enum.Parse<FlushMode>(args[4]),
        PushInterval = TimeSpan.FromMilliseconds(10),
        DirtySoftLimit = 64 << 10,
        MemoryBudget = 1 << 20,
    },
};
await using var region = await RemoteMemory.MapAsync($"file:{args[1]}", options);
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
        byte[] bytes = SlotPattern.Bytes(slot, number);
        Note($"begin {slot} {number}");
        switch (i % 3)
        {
            case 0:
                using (var view = await region.AcquireAsync((long)slot * SlotPattern.SlotLength, SlotPattern.SlotLength))
                    bytes.CopyTo(view.Span);
                break;
            case 1:
                region.CopyFrom((long)slot * SlotPattern.SlotLength, bytes);
                break;
            default:
                await region.CopyFromAsync((long)slot * SlotPattern.SlotLength, bytes);
                break;
        }

        Note($"end {slot}");
        if (i % 8 != 0)
            continue;
        await region.FlushAsync();
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
