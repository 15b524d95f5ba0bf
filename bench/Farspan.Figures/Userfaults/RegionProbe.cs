using System.Diagnostics;
using Farspan.Linux.Userfaults;

namespace Farspan.Figures.Userfaults;

/// <summary>A region of this process, and what is asked of it. One for each measurement; all times are in seconds.</summary>
internal sealed class RegionProbe(RemoteMemory region, int chunkSize) : IAsyncDisposable
{
    private const int Page = 4096;

    private readonly byte[] _page = new byte[Page];

    /// <summary>What a reader takes at a time, as the C handler's.</summary>
    private readonly byte[] _piece = new byte[128 << 10];

    /// <summary>Touches a page in each of so many chunks, in random order: what one touch takes, mean and median.</summary>
    public unsafe (double Mean, double Median) Touch(int count, int warmUp)
    {
        // As native code, which may wait for a page; nothing but the fault is asked for.
        var memory = region.Service.Memory;
        return Each(count, warmUp, offset =>
        {
            byte taken;
            memory.CopyOut(offset, &taken, 1);
        });
    }

    /// <summary>Touches the first page.</summary>
    public unsafe void TouchFirst()
    {
        byte taken;
        region.Service.Memory.CopyOut(0, &taken, 1);
    }

    /// <summary>The same as a program of this process reads it: 4 KiB from each.</summary>
    public double Copy(int count, int warmUp) => Each(count, warmUp, offset => region.CopyTo(offset, _page)).Mean;

    /// <summary>Copies out everything from the first byte to the last by touches alone.</summary>
    public unsafe double ReadByFaults(long length)
    {
        var memory = region.Service.Memory;
        long start = Stopwatch.GetTimestamp();
        fixed (byte* piece = _piece)
        {
            for (long at = 0; at < length; at += _piece.Length)
                memory.CopyOut(at, piece, _piece.Length);
        }

        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Copies out everything in order, while it is prefetched.</summary>
    public async Task<double> ReadAheadAsync(long length)
    {
        long start = Stopwatch.GetTimestamp();
        var prefetch = region.PrefetchAsync(0, length);
        await ReadAsync(length);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        await prefetch;
        return seconds;
    }

    /// <summary>Copies out everything in order.</summary>
    public async Task<double> ReadAsync(long length)
    {
        long start = Stopwatch.GetTimestamp();
        for (long at = 0; at < length; at += _piece.Length)
            await region.CopyToAsync(at, _piece);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Writes everything in order, and has it saved.</summary>
    public async Task<double> WriteAsync(long length)
    {
        new Random(2).NextBytes(_piece);
        long start = Stopwatch.GetTimestamp();
        for (long at = 0; at < length; at += _piece.Length)
            await region.CopyFromAsync(at, _piece);
        await region.FlushAsync();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Brings everything.</summary>
    public Task PrefetchAsync() => region.PrefetchAsync(0, region.Length);

    /// <summary>One write to each of so many pages, in random order: what one takes, the mean.</summary>
    public double WritePages(int count)
    {
        var order = Shuffled((int)(region.Length / Page));
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < count; i++)
            region.CopyFrom((long)order[i] * Page, _page.AsSpan(0, 1));
        return Stopwatch.GetElapsedTime(start).TotalSeconds / count;
    }

    /// <summary>Finds out what was written.</summary>
    public double FindWritten()
    {
        long start = Stopwatch.GetTimestamp();
        long written = region.Status.UnsavedBytes;
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return written > 0 ? seconds : throw new InvalidDataException("Nothing was written.");
    }

    public ValueTask DisposeAsync() => region.DisposeAsync();

    private (double Mean, double Median) Each(int count, int warmUp, Action<long> take)
    {
        var order = Shuffled((int)(region.Length / chunkSize));
        var took = new List<double>(count);
        for (int i = 0; i < warmUp + count; i++)
        {
            long start = Stopwatch.GetTimestamp();
            take((long)order[i] * chunkSize);
            if (i >= warmUp)
                took.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        took.Sort();
        return (took.Average(), took[count / 2]);
    }

    private static int[] Shuffled(int count)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        new Random(1).Shuffle(order);
        return order;
    }
}
