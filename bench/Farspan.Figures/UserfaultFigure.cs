using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Farspan.Backends;
using Farspan.Figures.Mounts;
using Farspan.Figures.Userfaults;
using Farspan.Linux.Userfaults;
using Farspan.Mounts;
using Farspan.Nbd;

namespace Farspan.Figures;

/// <summary>Speed line 3: memory whose pages we bring, beside a minimal handler in C.</summary>
internal static class UserfaultFigure
{
    private const int Page = 4096;
    private const int Chunk = 64 << 10;
    private const int Pages = 100_000;
    private const int FarFaults = 100;
    private const int FirstUses = 20;
    private const long Length = 1L << 30;
    private const long LineLength = 256L << 20;
    private const double Gigabytes = Length / 1e9;
    private const string Own = "farspan";

    private static readonly string[] s_peers = ["C handler", "C, filled in order"];
    private static readonly (int Chunk, int Count)[] s_faults = [(Page, 40_000), (Chunk, 4_000), (1 << 20, 500)];
    private static readonly BackendRegistry s_registry = new BackendRegistry().AddNbdBackends();

    public static async Task RunAsync(FigureOptions options)
    {
        var report = new Report("Memory by userfaults", [Own, .. s_peers]);
        await using (var local = new MemoryBackend(Length))
        {
            await FillAsync(local);
            await MeasureLocalAsync(report, options, local);
        }

        await using (var world = new MountWorld(options))
        {
            await world.StartAsync();
            await MeasureLineAsync(report, options, 0, world.RemoteSocket);
            foreach (int delay in (int[])[1, 5, 25])
                await MeasureLineAsync(report, options, delay, await world.LineAsync($"u{delay}", $"rtt={delay}ms,rate=10Gbit"));
        }

        await report.WriteAsync(options.Output, "userfault", Notes);
    }

    private static async Task MeasureLocalAsync(Report report, FigureOptions options, MemoryBackend local)
    {
        Task OwnRowAsync(string name, string unit, bool more, string aim, RemoteMemoryOptions how, Func<RegionProbe, Task<double>> measure, params Func<Task<double>>[] peers)
            => RowAsync(report, options, name, unit, more, aim, async () =>
            {
                await using var region = new RegionProbe(RemoteMemory.Map(local, how), how.ChunkSize);
                return await measure(region);
            }, peers);

        foreach (var (chunk, count) in s_faults)
        {
            var byChunk = new RemoteMemoryOptions { ChunkSize = chunk };
            await OwnRowAsync(
                $"fault of a page, chunks of {chunk >> 10} KiB: mean", "µs", false, chunk == Page ? "0.77×" : "", byChunk, r => Task.FromResult(r.Touch(count, count / 10).Mean * 1e6),
                () => HandlerAsync(options, "mean", "fault", "local", chunk, count, 1e6));
            await OwnRowAsync(
                $"4 KiB that are not here, by `CopyTo`, chunks of {chunk >> 10} KiB: mean", "µs", false, "", byChunk, r => Task.FromResult(r.Copy(count, count / 10) * 1e6),
                () => HandlerAsync(options, "mean", "fault", "local", chunk, count, 1e6));
        }

        await RowAsync(
            report, options, "memory mapped, and its first 64 KiB brought by a fault", "µs", false, "", () => MapAndTouchAsync(local),
            () => HandlerAsync(options, "first", "fault", "local", Chunk, 1, 1e6));
        var usual = new RemoteMemoryOptions();
        await OwnRowAsync(
            "1 GiB read in order by touches alone", "GB/s", true, "", usual, r => Task.FromResult(Gigabytes / r.ReadByFaults(Length)),
            () => RateAsync(options, "read", "local", Chunk, Length));
        await OwnRowAsync(
            "1 GiB read in order with prefetch", "GB/s", true, "3", usual, async r => Gigabytes / await r.ReadAheadAsync(Length),
            () => RateAsync(options, "read", "local", Chunk, Length), () => RateAsync(options, "ahead", "local", 1 << 20, Length));
        await OwnRowAsync("1 GiB prefetched", "GB/s", true, "", usual, async r => Gigabytes / await TimeAsync(r.PrefetchAsync));
        await OwnRowAsync("first write to a page that is here: mean", "µs", false, "", usual, async r =>
        {
            await r.PrefetchAsync();
            return r.WritePages(Pages) * 1e6;
        }, () => HandlerAsync(options, "mean", "write", "local", Page, Pages, 1e6));
        await OwnRowAsync("finding 2,600 written pages in 1 GiB", "ms", false, "", usual, async r =>
        {
            await r.PrefetchAsync();
            r.WritePages(2_600);
            return r.FindWritten() * 1e3;
        });

        var limited = new RemoteMemoryOptions { ResidentLimit = Length / 4 };
        await OwnRowAsync("1 GiB read in order, at most 256 MiB of it here", "GB/s", true, "", limited, async r => Gigabytes / await r.ReadAsync(Length),
            () => RateAsync(options, "limited", "local", Chunk, Length));
        await OwnRowAsync("1 GiB written in order and flushed, at most 256 MiB of it here", "GB/s", true, "", limited, async r => Gigabytes / await r.WriteAsync(Length));
    }

    private static async Task MeasureLineAsync(Report report, FigureOptions options, int delay, string socket)
    {
        Task OwnRowAsync(string name, string unit, bool more, ManagedMountOptions managed, Func<RegionProbe, Task<double>> measure, Func<Task<double>> peer)
            => RowAsync(report, options, name, unit, more, "", async () =>
            {
                var how = new RemoteMemoryOptions { Registry = s_registry, Managed = managed };
                await using var region = new RegionProbe(await RemoteMemory.MapAsync($"nbd+unix:///?socket={socket}", how), how.ChunkSize);
                return await measure(region);
            }, peer);

        await OwnRowAsync(
            $"{delay} ms: fault of a page that is far, median of {FarFaults}", "ms", false, new ManagedMountOptions { BackgroundPull = BackgroundPull.Nothing },
            r => Task.FromResult(r.Touch(FarFaults, FarFaults / 5).Median * 1e3), () => HandlerAsync(options, "p50", "fault", socket, Chunk, FarFaults, 1e3));
        await OwnRowAsync(
            $"{delay} ms: {LineLength >> 20} MiB read in order with prefetch", "MB/s", true, new ManagedMountOptions { BackgroundPull = BackgroundPull.ReadAhead },
            async r => LineLength / await r.ReadAheadAsync(LineLength) / 1e6, () => RateAsync(options, "read", socket, 1 << 20, LineLength, 1e-6));
    }

    /// <summary>The median: the first of all has much to compile.</summary>
    private static async Task<double> MapAndTouchAsync(MemoryBackend local)
    {
        var took = new List<double>();
        for (int i = 0; i < FirstUses; i++)
        {
            long start = Stopwatch.GetTimestamp();
            await using var region = new RegionProbe(RemoteMemory.Map(local), Chunk);
            region.TouchFirst();
            took.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        took.Sort();
        return took[FirstUses / 2];
    }

    private static async Task<double> TimeAsync(Func<Task> body)
    {
        long start = Stopwatch.GetTimestamp();
        await body();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static Task RowAsync(
        Report report, FigureOptions options, string name, string unit, bool more, string aim, Func<Task<double>> own, params Func<Task<double>>[] peers)
    {
        var measures = new Dictionary<string, Func<Task<double>>> { [Own] = own };
        foreach (var (peer, measure) in s_peers.Zip(peers))
            measures.Add(peer, measure);
        return report.MeasureAsync(
            new Workload(name, unit, more, aim, contender => measures[contender.Name]()), [.. measures.Keys.Select(c => new Contender(c, "", process: null))], options.Rounds);
    }

    private static async Task<double> RateAsync(FigureOptions options, string what, string source, int chunk, long length, double unit = 1e-9)
        => length * unit / await HandlerAsync(options, "seconds", what, source, chunk, length, 1);

    private static async Task<double> HandlerAsync(FigureOptions options, string figure, string what, string source, int chunk, long count, double unit)
    {
        using var line = JsonDocument.Parse(await Shell.RunAsync(
            options.UserfaultHandler, what, source, chunk.ToString(CultureInfo.InvariantCulture), count.ToString(CultureInfo.InvariantCulture)));
        return unit * line.RootElement.GetProperty(figure).GetDouble();
    }

    private static async Task FillAsync(MemoryBackend backend)
    {
        byte[] data = new byte[1 << 20];
        new Random(1).NextBytes(data);
        for (long at = 0; at < backend.Length; at += data.Length)
            await backend.WriteAsync(at, data);
    }

    private const string Notes = """
        - farspan: `RemoteMemory` in this process, over bytes in memory, or from a URI over a line. Chunks of 64 KiB unless the row says otherwise.
          A touch is a copy of one byte by native code, which faults; `CopyTo` is what a program calls, and brings what is missing without a fault.
        - C handler: `bench/peers/uffdhandler.c`: one thread touches, one answers each fault with the chunk around it, from memory or by one NBD request over
          the same line; it fetches nothing ahead. Where all is read over a line it has chunks of 1 MiB, which serve it better.
          "C, filled in order": a third thread fills the memory from memory, 1 MiB at a time, while it is read.
        - First write: we let the kernel note it (asynchronous write-protection); the C handler is told, and unprotects the page.
        - The lines have 10 Gbit/s each way; at 0 ms there is none, but the Unix socket of `nbdkit memory`.
        - Prefetched memory comes by huge pages (docs/decisions/0096). Touches and limited memory come by pages of 4 KiB, and reading such a page the first
          time takes 2 µs on a machine whose hypervisor shadows page tables, as this one: no more than 2 GB/s for one reader, however it is filled.
          At most 256 MiB here: the C handler drops the oldest chunk for each that comes.
        - Over a line ours goes through the cache of a managed mount, which copies each byte twice more than the C handler and hands an answer on between
          threads twice; where neither the line nor the delay is slow, that is what is seen.
        - A fault is mostly the wake-ups of two threads, which on a virtual machine take tens of microseconds each and vary with what else runs. Our thread
          looks for the next fault for a moment before it sleeps; the C handler does not.

        """;
}
