using System.Text.Json;

namespace Farspan.Figures;

/// <summary>Speed line 2: our FUSE file over memory beside nbdfuse over nbdkit's memory, and beside tmpfs as the bound.</summary>
internal static class FuseFigure
{
    private const long Size = 1L << 30;

    public static async Task RunAsync(FigureOptions options)
    {
        var peers = new List<Contender>();
        Contender? tmpfs = null;
        try
        {
            peers.Add(await MountAsync("farspan", options, t => (options.Farspan, ["mount", $"memory:{Size}", t, "--direct", "--foreground"]), directory: false));
            peers.Add(await MountAsync("nbdfuse+nbdkit", options, t => ("nbdfuse", [Path.GetDirectoryName(t)!, "[", "nbdkit", "memory", $"{Size}", "]"]), directory: true));
            string file = Path.Combine("/dev/shm", $"farspan-figures-{Environment.ProcessId}");
            tmpfs = new Contender("tmpfs", file, process: null, () =>
            {
                File.Delete(file);
                return Task.CompletedTask;
            });
            foreach (var contender in peers.Append(tmpfs))
                await Shell.RunAsync("dd", "if=/dev/zero", $"of={contender.Path}", "bs=1M", $"count={Size >> 20}", "conv=notrunc,fsync", "status=none");

            var report = new Report("FUSE file, memory", ["farspan", "nbdfuse+nbdkit"]);
            var bound = new Report("FUSE file against tmpfs", ["farspan", "tmpfs"]);
            foreach (var workload in Workloads(options))
                await report.MeasureAsync(workload, peers, options.Rounds);
            await bound.MeasureAsync(
                new("sequential direct read, 8 MiB", "MiB/s", true, "≥ 0.67×", c => FioAsync(options, c, "read", "8m", r => r.MebibytesPerSecond)),
                [peers[0], tmpfs], options.Rounds);
            await report.WriteAsync(options.Output, "fuse");
            await bound.WriteAsync(options.Output, "fuse-tmpfs");
        }
        finally
        {
            foreach (var contender in peers)
                await contender.DisposeAsync();
            if (tmpfs is not null)
                await tmpfs.DisposeAsync();
        }
    }

    private static IEnumerable<Workload> Workloads(FigureOptions options)
    {
        yield return new("sequential direct read, 1 MiB", "MiB/s", true, "4×", c => FioAsync(options, c, "read", "1m", r => r.MebibytesPerSecond));
        yield return new("sequential direct write, 1 MiB", "MiB/s", true, "2.5×", c => FioAsync(options, c, "write", "1m", r => r.MebibytesPerSecond));
        yield return new("4 KiB random direct read, depth 1: mean", "µs", false, "5×", c => FioAsync(options, c, "randread", "4k", r => r.MeanLatencyMicroseconds));
        yield return new("4 KiB random direct write, depth 1: mean", "µs", false, "", c => FioAsync(options, c, "randwrite", "4k", r => r.MeanLatencyMicroseconds));
        yield return new("page fault: median", "µs", false, "5×", c => FaultAsync(options, c));
    }

    private static async Task<Contender> MountAsync(
        string name, FigureOptions options, Func<string, (string Program, string[] Arguments)> command, bool directory)
    {
        string target = Path.Combine(options.Scratch, name.Split('+')[0]);
        if (directory)
        {
            Directory.CreateDirectory(target);
            target = Path.Combine(target, "nbd");
        }

        var (program, arguments) = command(target);
        var process = Shell.Start(program, arguments);
        await Shell.WaitAsync(name, () => process.HasExited || (File.Exists(target) && new FileInfo(target).Length == Size));
        string mountPoint = directory ? Path.GetDirectoryName(target)! : target;
        return new Contender(name, target, process, () => Shell.RunAsync("umount", mountPoint));
    }

    private static async Task<double> FioAsync(FigureOptions options, Contender contender, string pattern, string block, Func<FioResult, double> pick)
    {
        string json = await Shell.RunAsync(
            "fio", "--name=f", $"--filename={contender.Path}", $"--rw={pattern}", $"--bs={block}", "--direct=1", "--ioengine=psync", $"--size={Size}",
            "--time_based", $"--runtime={options.Seconds}", "--output-format=json");
        return pick(FioResult.Parse(json, pattern.EndsWith("read", StringComparison.Ordinal) ? "read" : "write"));
    }

    private static async Task<double> FaultAsync(FigureOptions options, Contender contender)
    {
        using var line = JsonDocument.Parse(await Shell.RunAsync(options.FaultLoad, contender.Path, "4000"));
        return line.RootElement.GetProperty("p50").GetDouble() * 1e6;
    }
}
