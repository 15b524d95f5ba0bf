using System.Globalization;
using System.Text.Json;

namespace Farspan.Figures;

/// <summary>Speed line 1: our NBD server over memory beside nbdkit's and qemu-nbd's, over Unix sockets.</summary>
internal static class NbdFigure
{
    private const long Size = 1L << 30;

    public static async Task RunAsync(FigureOptions options)
    {
        var contenders = new List<Contender>();
        try
        {
            contenders.Add(await StartAsync("farspan", options, s => (options.Farspan, ["serve", $"memory:{Size}", "--listen", $"nbd+unix:///?socket={s}"])));
            contenders.Add(await StartAsync("nbdkit memory", options, s => ("nbdkit", ["-f", "-U", s, "memory", $"{Size}"])));
            string file = Path.Combine("/dev/shm", $"farspan-figures-{Environment.ProcessId}");
            await Shell.RunAsync("truncate", "-s", $"{Size}", file);
            contenders.Add(await StartAsync(
                "qemu-nbd", options, s => ("qemu-nbd", ["-t", "-e", "8", "-f", "raw", "--cache=writeback", "-k", s, file]), () => File.Delete(file)));

            // Every page of every server is touched before anything is measured.
            string random = Path.Combine(options.Scratch, "random");
            await Shell.RunAsync("dd", "if=/dev/urandom", $"of={random}", "bs=1M", $"count={Size >> 20}", "status=none");
            foreach (var contender in contenders)
                await Shell.RunAsync("nbdcopy", random, Uri(contender));

            var report = new Report("NBD server, memory, Unix socket", [.. contenders.Select(c => c.Name)]);
            foreach (var workload in Workloads(options, random))
                await report.MeasureAsync(workload, contenders, options.Rounds);
            await report.WriteAsync(options.Output, "nbd");
        }
        finally
        {
            foreach (var contender in contenders)
                await contender.DisposeAsync();
        }
    }

    private static IEnumerable<Workload> Workloads(FigureOptions options, string random)
    {
        yield return new("4 KiB random reads, depth 32", "op/s", true, "2×", c => LoadAsync(options, c, "read", 4096, 32, m => m.Rate));
        yield return new("64 KiB writes, depth 16", "op/s", true, "1.5×", c => LoadAsync(options, c, "write", 65536, 16, m => m.Rate));
        yield return new("4 KiB random reads, depth 1", "op/s", true, "1×", c => LoadAsync(options, c, "read", 4096, 1, m => m.Rate));
        yield return new("4 KiB random reads, depth 32: p99", "µs", false, "", c => LoadAsync(options, c, "read", 4096, 32, m => m.P99 * 1e6));
        yield return new("server CPU per 4 KiB read, depth 32", "µs", false, "< 5 µs", c => LoadAsync(options, c, "read", 4096, 32, m => m.ServerCpu * 1e6));
        yield return new("server CPU per 64 KiB write, depth 16", "µs", false, "", c => LoadAsync(options, c, "write", 65536, 16, m => m.ServerCpu * 1e6));
        yield return new("nbdcopy of 1 GiB of random data, to the server", "MiB/s", true, "1.3×", c => CopyAsync(random, Uri(c)));
        yield return new("nbdcopy of 1 GiB of random data, from the server", "MiB/s", true, "1.3×", c => CopyAsync(Uri(c), "null:"));
        yield return new("fio, 4 KiB random reads, depth 32 (client bound)", "op/s", true, "", c => FioAsync(options, c, 32));
        yield return new("fio, 4 KiB random reads, depth 1", "op/s", true, "", c => FioAsync(options, c, 1));
    }

    private static string Uri(Contender contender) => $"nbd+unix:///?socket={contender.Path}";

    private static async Task<Contender> StartAsync(string name, FigureOptions options, Func<string, (string Program, string[] Arguments)> command, Action? clean = null)
    {
        string socket = Path.Combine(options.Scratch, $"{name.Split(' ')[0]}.sock");
        var (program, arguments) = command(socket);
        var process = Shell.Start(program, arguments);
        await Shell.WaitAsync(name, () => File.Exists(socket) || process.HasExited);
        return new Contender(name, socket, process, clean is null ? null : () =>
        {
            clean();
            return Task.CompletedTask;
        });
    }

    private static async Task<double> LoadAsync(
        FigureOptions options, Contender contender, string operation, int block, int depth, Func<(double Rate, double P99, double ServerCpu), double> pick)
    {
        double before = contender.CpuSeconds;
        string json = await Shell.RunAsync(
            options.NbdLoad, contender.Path, operation, $"{block}", $"{depth}", options.Seconds.ToString(CultureInfo.InvariantCulture));
        double cpu = contender.CpuSeconds - before;
        using var line = JsonDocument.Parse(json);
        double operations = line.RootElement.GetProperty("operations").GetDouble();
        return pick((operations / line.RootElement.GetProperty("seconds").GetDouble(), line.RootElement.GetProperty("p99").GetDouble(), cpu / operations));
    }

    private static async Task<double> CopyAsync(string source, string destination)
    {
        long start = TimeProvider.System.GetTimestamp();
        await Shell.RunAsync("nbdcopy", source, destination);
        return (Size >> 20) / TimeProvider.System.GetElapsedTime(start).TotalSeconds;
    }

    private static async Task<double> FioAsync(FigureOptions options, Contender contender, int depth)
    {
        // The URI holds '=' and ':', which fio's command line would split: it goes through a job file.
        string job = Path.Combine(options.Scratch, "job.fio");
        await File.WriteAllTextAsync(
            job, $"[r]\nioengine=nbd\nuri={Uri(contender)}\nsize={Size}\ntime_based\nruntime={options.Seconds}\nrw=randread\nbs=4k\niodepth={depth}\n");
        return FioResult.Parse(await Shell.RunAsync("fio", "--output-format=json", job), "read").OperationsPerSecond;
    }
}
