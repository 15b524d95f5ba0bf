using System.Diagnostics;
using Farspan.Backends;
using Farspan.Nbd;

namespace Farspan.Figures;

/// <summary>Our own wire beside our NBD: the same backend in a server of each, the same load through <see cref="IBackend"/> here.</summary>
internal static class WireFigure
{
    private const long Size = 256L << 20;

    public static async Task RunAsync(FigureOptions options)
    {
        var registry = new BackendRegistry().AddCoreBackends().AddNbdBackends();
        var contenders = new List<Contender>();
        var open = new Dictionary<string, IBackend>(StringComparer.Ordinal);
        try
        {
            foreach (var (name, scheme) in (ReadOnlySpan<(string, string)>)[("farspan wire", "farspan+unix"), ("our NBD", "nbd+unix")])
            {
                string socket = Path.Combine(options.Scratch, scheme);
                var process = Shell.Start(options.Farspan, ["serve", $"memory:{Size}", "--listen", $"{scheme}:///?socket={socket}"]);
                contenders.Add(new Contender(name, socket, process));
            }

            foreach (var contender in contenders)
            {
                await Shell.WaitAsync(contender.Name, () => File.Exists(contender.Path));
                var backend = await registry.OpenAsync($"{Path.GetFileName(contender.Path)}:///?socket={contender.Path}");
                open[contender.Name] = backend;
                byte[] data = new byte[1 << 20];
                new Random(1).NextBytes(data);
                for (long at = 0; at < Size; at += data.Length)
                    await backend.WriteAsync(at, data);
                await backend.FlushAsync();
            }

            var report = new Report("Farspan's own wire beside NBD, our client and server in both, memory, Unix socket", [.. contenders.Select(c => c.Name)]);
            foreach (var (name, unit, load) in Loads())
            {
                await report.MeasureAsync(
                    new Workload(name, unit, true, "1×", c => MeasureAsync(open[c.Name], load, options.Seconds)), contenders, options.Rounds);
            }

            await report.WriteAsync(options.Output, "wire");
        }
        finally
        {
            foreach (var backend in open.Values)
                await backend.DisposeAsync();
            foreach (var contender in contenders)
                await contender.DisposeAsync();
        }
    }

    private static IEnumerable<(string Name, string Unit, BackendLoad Load)> Loads()
    {
        yield return ("4 KiB random reads, depth 32", "op/s", new BackendLoad(false, 4096, 32, IsSequential: false));
        yield return ("4 KiB random reads, depth 1", "op/s", new BackendLoad(false, 4096, 1, IsSequential: false));
        yield return ("64 KiB writes, depth 16", "op/s", new BackendLoad(true, 64 << 10, 16, IsSequential: false));
        yield return ("1 MiB sequential reads, depth 4", "op/s", new BackendLoad(false, 1 << 20, 4, IsSequential: true));
        yield return ("1 MiB sequential writes, depth 4", "op/s", new BackendLoad(true, 1 << 20, 4, IsSequential: true));
    }

    private static async Task<double> MeasureAsync(IBackend backend, BackendLoad load, int seconds)
    {
        long next = 0;
        long done = 0;
        var watch = Stopwatch.StartNew();
        long end = seconds * Stopwatch.Frequency;
        await Task.WhenAll(Enumerable.Range(0, load.Depth).Select(worker => Task.Run(async () =>
        {
            byte[] buffer = new byte[load.Block];
            new Random(worker).NextBytes(buffer);
            var random = new Random(worker);
            long blocks = backend.Length / load.Block;
            while (watch.ElapsedTicks < end)
            {
                long block = load.IsSequential ? Interlocked.Increment(ref next) % blocks : random.NextInt64(blocks);
                if (load.IsWrite)
                    await backend.WriteAsync(block * load.Block, buffer);
                else
                    await backend.ReadAsync(block * load.Block, buffer);
                Interlocked.Increment(ref done);
            }
        })));
        double rate = done / watch.Elapsed.TotalSeconds;
        if (load.IsWrite)
            await backend.FlushAsync();
        return rate;
    }
}
