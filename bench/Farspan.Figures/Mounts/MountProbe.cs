using System.Diagnostics;
using System.Globalization;
using Farspan.Backends;
using Farspan.Nbd;

namespace Farspan.Figures.Mounts;

/// <summary>What is asked of a running mount, the same of a file and of an NBD socket.</summary>
internal sealed class MountProbe(MountWorld world, string scratch)
{
    private readonly BackendRegistry _registry = new BackendRegistry().AddNbdBackends();

    /// <summary>Bytes a second of reading the first 256 MiB of a mount that has just become ready, by the wall clock.</summary>
    public async Task<double> ReadFirstAsync(RunningMount mount)
    {
        const int Length = 256 << 20;
        if (mount.IsNbd)
            return (await FioAsync(mount, $"rw=read\nbs=1m\nsize={Length}\n")).MebibytesPerSecond * (1 << 20);
        var clock = Stopwatch.StartNew();
        await Shell.RunAsync("dd", $"if={mount.Path}", "of=/dev/null", "bs=1M", $"count={Length >> 20}", "status=none");
        return Length / clock.Elapsed.TotalSeconds;
    }

    /// <summary>Bytes a second of reading on from the start for some seconds, directly, one read of 128 KiB after the other.</summary>
    public async Task<double> ReadOnAsync(RunningMount mount, int seconds)
        => (await FioAsync(mount, $"rw=read\nbs=128k\nsize={MountWorld.Length}\nruntime={seconds}\ndirect=1\n")).MebibytesPerSecond * (1 << 20);

    /// <summary>Bytes a second of writing <see cref="MountWorld.WriteLength"/> and a flush, by the wall clock.</summary>
    public async Task<double> WriteAndFlushAsync(RunningMount mount)
    {
        var clock = Stopwatch.StartNew();

        // One connection: with several, the flush of nbdkit's cache filter goes to one that has been closed.
        await (mount.IsNbd
            ? Shell.RunAsync("nbdcopy", "--flush", "--connections=1", world.WriteSource, Uri(mount))
            : Shell.RunAsync("dd", $"if={world.WriteSource}", $"of={mount.Path}", "bs=1M", "conv=notrunc,fsync", "status=none"));
        return MountWorld.WriteLength / clock.Elapsed.TotalSeconds;
    }

    /// <summary>Milliseconds until 4 KiB at an offset are here.</summary>
    public async Task<double> FirstByteAsync(RunningMount mount, long offset)
    {
        byte[] buffer = new byte[4096];
        if (!mount.IsNbd)
        {
            using var file = File.OpenHandle(mount.Path);
            long start = Stopwatch.GetTimestamp();
            int count = RandomAccess.Read(file, buffer, offset);
            return count == buffer.Length ? Stopwatch.GetElapsedTime(start).TotalMilliseconds : throw new InvalidDataException($"{count} bytes were read.");
        }

        await using var backend = await _registry.OpenAsync(Uri(mount));
        long begun = Stopwatch.GetTimestamp();
        await backend.ReadAsync(offset, buffer);
        return Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
    }

    /// <summary>Microseconds until 4 KiB are here that the mount has, and the kernel has not: the median of reads all over what was read before.</summary>
    public async Task<double> ReadHereAsync(RunningMount mount)
    {
        const string Size = "64m";
        await FioAsync(mount, $"rw=read\nbs=1m\nsize={Size}\ndirect=1\n");
        return (await FioAsync(mount, $"rw=randread\nbs=4k\nsize={Size}\nnumber_ios=2000\n")).MedianLatencyMicroseconds;
    }

    private static string Uri(RunningMount mount) => $"nbd+unix:///?socket={mount.Path}";

    private async Task<FioResult> FioAsync(RunningMount mount, string settings)
    {
        string job = Path.Combine(scratch, "mount.fio");
        string target = mount.IsNbd ? $"ioengine=nbd\nuri={Uri(mount)}" : $"ioengine=psync\nfilename={mount.Path}";
        await File.WriteAllTextAsync(job, string.Create(CultureInfo.InvariantCulture, $"[r]\n{target}\niodepth=1\n{settings}"));
        return FioResult.Parse(await Shell.RunAsync("fio", "--output-format=json", job), "read");
    }
}
