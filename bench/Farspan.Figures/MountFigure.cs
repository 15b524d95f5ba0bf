using System.Diagnostics;
using Farspan.Backends;
using Farspan.Figures.Mounts;
using Farspan.Linux.Mounts;
using Farspan.Mounts;
using Farspan.Nbd;

namespace Farspan.Figures;

/// <summary>The managed mount over simulated lines, beside our direct mount and other programs that cache what is far away.</summary>
internal static class MountFigure
{
    private const double Gigabit = 1e9 / 8;
    private const double RoundTrip = 25;
    private const string FarLine = "rtt=25ms,rate=1Gbit";
    private const string WideLine = "rtt=10ms,rate=10Gbit";
    private const string Managed = "farspan";
    private const string NoPull = "farspan --no-pull";

    public static async Task RunAsync(FigureOptions options)
    {
        bool hasRclone = await IsHereAsync("rclone", "version");
        await using var world = new MountWorld(options);
        await world.StartAsync();
        var probe = new MountProbe(world, options.Scratch);
        var programs = Programs(options, hasRclone);
        string? http = hasRclone ? await world.ServeHttpAsync() : null;
        string farSocket = await world.LineAsync("far", FarLine);
        string wideSocket = await world.LineAsync("wide", WideLine);
        string hugeSocket = await world.LineAsync("huge", FarLine, isHuge: true);
        string? farHttp = http is null ? null : await world.HttpLineAsync(FarLine, http);
        string? wideHttp = http is null ? null : await world.HttpLineAsync(WideLine, http);
        Task<double> OnFar(Contender c, Func<RunningMount, Task<double>> measure)
            => MeasureAsync(programs[c.Name], world.NewPlace(farSocket, farHttp), MountWorld.Length, measure);
        Task<double> OnWide(Contender c, Func<RunningMount, Task<double>> measure)
            => MeasureAsync(programs[c.Name], world.NewPlace(wideSocket, wideHttp), MountWorld.Length, measure);
        Task<double> OnHuge(Contender c, Func<RunningMount, Task<double>> measure)
            => MeasureAsync(programs[c.Name], world.NewPlace(hugeSocket, address: null), MountWorld.HugeLength, measure);

        var report = new Report("Managed mount over a simulated line", [.. programs.Keys]);
        Task RowAsync(string name, string unit, bool more, string aim, Func<Contender, Task<double>> measure, Func<string, bool>? takesPart = null)
            => report.MeasureAsync(
                new Workload(name, unit, more, aim, c => ExplainedAsync(world, $"{name}, {c.Name}", measure(c))),
                [.. programs.Keys.Where(takesPart ?? (c => c != NoPull)).Select(c => new Contender(c, c, process: null))], options.Rounds);

        await RowAsync(
            "25 ms, 1 Gbit/s: first 256 MiB read from cold", "% of line", true, "90", c => OnFar(c, async m => 100 / Gigabit * await probe.ReadFirstAsync(m)));
        await RowAsync(
            "25 ms, 1 Gbit/s: 256 MiB written, then flushed", "% of line", true, "90", c => OnFar(c, async m => 100 / Gigabit * await probe.WriteAndFlushAsync(m)), c => c is not (NoPull or "rclone"));
        await RowAsync(
            "10 ms, 10 Gbit/s: sequential direct reads of 128 KiB, depth 1", "MB/s", true, "400", c => OnWide(c, async m => 1e-6 * await probe.ReadOnAsync(m, options.Seconds)));
        await RowAsync(
            "25 ms: first byte of a cold mount, right when it is ready", "round trips", false, "", c => OnFar(c, async m => await probe.FirstByteAsync(m, 200 << 20) / RoundTrip), _ => true);
        await RowAsync(
            "25 ms: first byte of a cold mount, 200 ms later", "round trips", false, "1.1", c => OnFar(c, m => LaterAsync(m, probe, 0)), _ => true);
        await RowAsync(
            "25 ms: bytes far from all that was read, median of ten", "round trips", false, "1.1", c => OnFar(c, m => LaterAsync(m, probe, 10)), _ => true);
        await RowAsync(
            "4 KiB that were pulled before: median", "µs", false, "< 100", c => MeasureAsync(
                ForSmallReads(programs[c.Name]), world.NewPlace(wideSocket, wideHttp), MountWorld.Length, probe.ReadHereAsync), c => c is not (NoPull or "farspan --direct"));
        await RowAsync(
            "25 ms: start of the program until ready", "ms", false, "", c => OnFar(c, m => Task.FromResult(m.TimeToReady.TotalMilliseconds)));
        await ReadyInProcessAsync(world, farSocket);
        await RowAsync(
            "25 ms, remote opened before: mounted and ready, in process, not the first time", "ms", false, "20", _ => ReadyInProcessAsync(world, farSocket), c => c == Managed);
        await RowAsync(
            "1 TiB, nothing pulled: start of the program until ready", "ms", false, "1,000", c => OnHuge(c, m => Task.FromResult(m.TimeToReady.TotalMilliseconds)), IsForHuge);
        await RowAsync(
            "1 TiB, nothing pulled: resident memory beyond that of 512 MiB", "MiB", false, "128", async c => await OnHuge(c, Resident) - await OnFar(c, Resident), IsForHuge);
        await report.WriteAsync(options.Output, "mount", Notes(hasRclone));
    }

    private static Dictionary<string, MountProgram> Programs(FigureOptions options, bool hasRclone)
    {
        List<MountProgram> programs =
        [
            MountProgram.Managed(options.Farspan, Managed), MountProgram.WithDirectory(options.Farspan), MountProgram.Managed(options.Farspan, NoPull, "--no-pull"),
            MountProgram.Managed(options.Farspan, "farspan --direct", "--direct"), MountProgram.Nbdkit("4M"), MountProgram.Nbdfuse("4M"),
        ];
        if (hasRclone)
            programs.Add(MountProgram.Rclone());
        return programs.ToDictionary(p => p.Name);
    }

    /// <summary>Small blocks serve small reads better.</summary>
    private static MountProgram ForSmallReads(MountProgram program) => program.Name switch
    {
        "nbdkit filters" => MountProgram.Nbdkit("64K"),
        "nbdfuse+nbdkit" => MountProgram.Nbdfuse("64K"),
        _ => program,
    };

    private static bool IsForHuge(string name) => name is NoPull or "nbdkit filters" or "nbdfuse+nbdkit";

    private static Task<double> Resident(RunningMount mount) => Task.FromResult(mount.ResidentBytes / (double)(1 << 20));

    private static async Task<double> MeasureAsync(MountProgram program, MountPlace place, long length, Func<RunningMount, Task<double>> measure)
    {
        await using var mount = await program.StartAsync(place, length);
        return await measure(mount);
    }

    /// <summary>A failure says what the servers had to say.</summary>
    private static async Task<double> ExplainedAsync(MountWorld world, string what, Task<double> measured)
    {
        try
        {
            return await measured;
        }
        catch (Exception error)
        {
            throw new InvalidOperationException($"{what}: {error.Message}\n{world.Complaints()}", error);
        }
    }

    /// <summary>The first read, or the median of so many that come after it.</summary>
    private static async Task<double> LaterAsync(RunningMount mount, MountProbe probe, int more)
    {
        await Task.Delay(200);
        double first = await probe.FirstByteAsync(mount, 500L << 20) / RoundTrip;
        var times = new List<double>();
        for (int i = 1; i <= more; i++)
        {
            await Task.Delay(50);
            times.Add(await probe.FirstByteAsync(mount, (500L - (12 * i)) << 20) / RoundTrip);
        }

        return more == 0 ? first : times.Order().ElementAt(more / 2);
    }

    private static async Task<double> ReadyInProcessAsync(MountWorld world, string socket)
    {
        var place = world.NewPlace(socket, address: null);
        var remote = await new BackendRegistry().AddNbdBackends().OpenAsync(place.Uri);
        long start = Stopwatch.GetTimestamp();
        await using var mount = await RemoteMount.OpenManagedAsync(remote, place.Target, new ManagedMountOptions { BackgroundPull = BackgroundPull.ReadAhead });
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private static async Task<bool> IsHereAsync(string program, string argument)
    {
        try
        {
            await Shell.RunAsync(program, argument);
            return true;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static string Notes(bool hasRclone) => $"""
        The line is a process of its own between each mount and its remote: bytes queue for the line's rate in each direction and arrive half a round trip later.
        The remote is `nbdkit memory` for all but rclone, whose remote is `rclone serve webdav` of the same bytes over a line of the same kind. Every measurement
        starts its program anew, with nothing cached.

        - farspan: `farspan mount`, its cache in memory; `--cache`: in a directory; `--no-pull`: nothing is pulled that nobody reads; `--direct`: no cache.
        - nbdkit filters: `nbdkit --filter=readahead --filter=cache nbd cache-on-read=true cache-min-block-size=4M` with its cache in memory, read by fio's NBD
          engine and written by nbdcopy, so without the cost of a file. Of what was tried for reads
          (blocks of 1, 4 and 16 MiB, the cow filter, readahead or cache alone, no filter) this was the fastest. Without a cache nbdkit took writes a little
          faster. nbdfuse+nbdkit: the same as a file.
        - rclone: {(hasRclone ? "`rclone mount --vfs-cache-mode full --vfs-read-ahead 256M`. Its fsync does not reach the remote, so that it has no row of write and flush." : "not here (no program `rclone`).")}
        - s3backer: not measured. It needs an S3 server, and the only real one that Debian packages is a Ceph cluster.
        - "4 KiB that were pulled before" asks for pages that the kernel does not have; nbdkit, with blocks of 64 KiB here, answers over a socket or as a file.
        - "First 256 MiB read from cold": by dd, from the moment that the mount is ready; what was pulled before that moment counts.
        - A first read of what is missing also pays for what is left to compile and load ([decision 0067](../../docs/decisions/0067-what-a-first-read-has-compiled.md)). Waiting on the line is
          late by up to a millisecond each way; the direct mount shows what the line and a file cost together.
        - A first byte right when the mount is ready may wait for the mount's first flush of the remote ([decision 0061](../../docs/decisions/0061-pushes-and-flushes.md)).

        """;
}
