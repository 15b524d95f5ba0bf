using Farspan.Linux.Mounts;

namespace Farspan.FuseHost;

/// <summary>
/// Uses a remote memory as hard as it can while the garbage collector runs without pause: what would hang if the pages were brought by this
/// process. It runs in a process of its own, because such a hang does not end.
/// </summary>
internal static class MemoryUser
{
    private const int PageLength = 4096;

    /// <summary>Runs for a time and says how many pages were written and found again.</summary>
    public static async Task<string> RunAsync(string program, string uri, string target, TimeSpan time)
    {
        await using var mount = await RemoteMount.OpenDirectAsync(uri, target, new DirectMountOptions { Program = program });
        long count = 0;
        using (var memory = mount.OpenMemory())
        using (var stop = new CancellationTokenSource(time))
        {
            var collector = new Thread(() =>
            {
                while (!stop.IsCancellationRequested)
                    GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
            });
            collector.Start();
            int pages = (int)(memory.Length / PageLength);
            var users = Enumerable.Range(0, 3).Select(user => new Thread(() => Interlocked.Add(ref count, Use(memory, user, pages, stop.Token)))).ToList();
            users.ForEach(u => u.Start());
            users.ForEach(u => u.Join());
            collector.Join();
            await memory.FlushAsync();
        }

        await mount.CloseAsync();
        return $"used {count}";
    }

    /// <summary>Opens a memory and waits for ever; the test kills this process.</summary>
    public static async Task HoldAsync(string program, string uri, string target)
    {
        await using var mount = await RemoteMount.OpenDirectAsync(uri, target, new DirectMountOptions { Program = program });
        using var memory = mount.OpenMemory();
        memory.Slice(0, 4).Span[0] = 42;
        Console.WriteLine("holding");
        await Task.Delay(Timeout.Infinite);
    }

    // Each user has pages of its own: every third.
    private static long Use(MountedMemory memory, int user, int pages, CancellationToken stop)
    {
        var random = new Random(user);
        var whole = memory.Slice(0, (int)memory.Length);
        var written = new Dictionary<int, byte>();
        long count = 0;
        while (!stop.IsCancellationRequested)
        {
            int page = random.Next(pages / 3) * 3 + user;
            long offset = (long)page * PageLength;
            var span = whole.Span.Slice((int)offset, PageLength);
            if (span[7] != written.GetValueOrDefault(page) || span[PageLength - 1] != written.GetValueOrDefault(page))
                throw new InvalidDataException($"Page {page} holds {span[7]} and {span[PageLength - 1]}, not {written.GetValueOrDefault(page)}.");
            span.Fill(written[page] = (byte)random.Next(1, 256));
            count++;
        }

        return count;
    }
}
