using Farspan.Linux.Userfaults.Agents;

namespace Farspan.FuseHost;

/// <summary>Uses memory that an agent serves, by spans over all of it, in a process of its own: a touch may end that.</summary>
internal static class AgentUser
{
    private const int Page = 4096;

    /// <summary>Reads and writes pages at random while the garbage collector runs without pause; each page ends as it was.</summary>
    public static async Task<string> RunAsync(string socket, TimeSpan time)
    {
        await using var memory = await AgentMemory.MapAsync(socket);
        using var stop = new CancellationTokenSource(time);
        var collector = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
                GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
        });
        collector.Start();
        Console.WriteLine("using");
        long count = 0;
        var users = Enumerable.Range(0, 3).Select(user => new Thread(() => Interlocked.Add(ref count, Use(memory, user, stop.Token)))).ToList();
        users.ForEach(user => user.Start());
        users.ForEach(user => user.Join());
        collector.Join();
        await memory.CloseAsync();
        return $"used {count}";
    }

    /// <summary>Does what each line on standard input says, and answers with a line.</summary>
    public static async Task ObeyAsync(string socket)
    {
        await using var memory = await AgentMemory.MapAsync(socket);
        Console.WriteLine($"mapped {memory.Length}");
        while (await Console.In.ReadLineAsync() is { } line)
            Console.WriteLine(await DoAsync(memory, line.Split(' ')));
    }

    private static async Task<string> DoAsync(AgentMemory memory, string[] words)
    {
        try
        {
            switch (words)
            {
                case ["read", var offset]:
                    return $"{memory.GetReadOnlySpan(long.Parse(offset), 1)[0]}";
                case ["write", var offset, var value]:
                    memory.GetSpan(long.Parse(offset), 1)[0] = byte.Parse(value);
                    return "written";
                case ["prefetch", var offset, var length]:
                    await memory.PrefetchAsync(long.Parse(offset), long.Parse(length));
                    return "prefetched";
                case ["flush"]:
                    await memory.FlushAsync();
                    return "flushed";
                case ["lost"]:
                    return $"lost: {await memory.Lost}";
                default:
                    return "what?";
            }
        }
        catch (IOException error)
        {
            return $"failed {error.Message}";
        }
    }

    // Each user has pages of its own: every third.
    private static long Use(AgentMemory memory, int user, CancellationToken stop)
    {
        var random = new Random(user);
        var whole = memory.GetSpan(0, (int)memory.Length);
        int pages = whole.Length / Page;
        var written = new Dictionary<int, byte>();
        long count = 0;
        while (!stop.IsCancellationRequested)
        {
            int page = (random.Next(pages / 3) * 3) + user;
            ref byte place = ref whole[(page * Page) + 7];
            if (written.TryGetValue(page, out byte expected) && place != expected)
                throw new InvalidDataException($"Page {page} holds {place}, not {expected}.");
            place = written[page] = (byte)random.Next(256);
            count++;
        }

        return count;
    }
}
