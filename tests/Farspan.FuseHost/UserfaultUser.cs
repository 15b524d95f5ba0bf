using Farspan.Backends;
using Farspan.Linux.Userfaults;

namespace Farspan.FuseHost;

/// <summary>
/// Uses remote memory of this process while the garbage collector runs without pause, in the ways that are safe, and in the one that is not: managed
/// code that touches what is absent. It runs in a process of its own, because that hangs.
/// </summary>
internal static class UserfaultUser
{
    private const int Length = 32 << 20;
    private const int Page = 4096;

    public static async Task<string> RunAsync(string way, TimeSpan time)
    {
        await using var store = new MemoryBackend(Length);
        byte[] bytes = new byte[Length];
        new Random(1).NextBytes(bytes);
        await store.WriteAsync(0, bytes);
        await using var region = TryMap(store, out string? refusal);
        if (region is null)
            return $"refused {refusal}";
        using var stop = new CancellationTokenSource(time);
        var collector = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
                GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
        });
        collector.Start();
        using var first = await region.AcquireAsync(0, Page);
        Console.WriteLine("using");
        long count = 0;
        var random = new Random(2);
        while (!stop.IsCancellationRequested)
        {
            int offset = (1 + random.Next((Length / Page) - 1)) * Page;
            byte found = way switch
            {
                "copy" => Copy(region, offset),
                "view" => await ViewAsync(region, offset),
                "naive" => Touch(first, offset),
                _ => throw new ArgumentException($"'{way}' is no way.", nameof(way)),
            };
            if (found != bytes[offset])
                throw new InvalidDataException($"{found} at {offset}, not {bytes[offset]}.");
            count++;
        }

        collector.Join();
        return $"used {count}";
    }

    private static RemoteMemory? TryMap(MemoryBackend store, out string? refusal)
    {
        refusal = null;
        try
        {
            return RemoteMemory.Map(store, new RemoteMemoryOptions { ChunkSize = Page, ResidentLimit = 1 << 20, ReadAhead = 0 });
        }
        catch (BackendException error)
        {
            refusal = error.Message;
            return null;
        }
    }

    private static byte Copy(RemoteMemory region, int offset)
    {
        Span<byte> found = stackalloc byte[1];
        region.CopyTo(offset, found);
        region.CopyFrom(offset, found);
        return found[0];
    }

    private static async Task<byte> ViewAsync(RemoteMemory region, int offset)
    {
        using var view = await region.AcquireAsync(offset, 1);
        return view.Span[0]++ is var found ? Restore(view, found) : (byte)0;
    }

    private static byte Restore(MemoryView view, byte found)
    {
        view.Span[0] = found;
        return found;
    }

    // What no program may do: the address of a view is used for what lies beside it.
    private static unsafe byte Touch(MemoryView first, int offset)
    {
        fixed (byte* start = first.Span)
            return start[offset];
    }
}
