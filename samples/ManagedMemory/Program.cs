// Mounts a backend with a cache directory and uses it as memory: a table of numbers that is far away, and is counted up with each run. A farspan
// process of its own serves the mount, for a process must never map what it serves itself.
using System.Runtime.InteropServices;
using Farspan.Linux.Mounts;
using Farspan.Mounts;

if (args.Length != 3)
{
    Console.Error.WriteLine("usage: ManagedMemory BACKEND TARGET CACHE, such as ManagedMemory 'file:disk.img?size=1MiB' mounted.img disk.cache");
    return 2;
}

var options = new ManagedMountOptions { CacheDirectory = Path.GetFullPath(args[2]), PullOrder = PullOrder.Reverse };
await using ManagedMount mount = await RemoteMount.OpenManagedAsync(args[0], args[1], options);
using (var memory = mount.OpenMemory())
{
    // Brings the pages ahead, and throws where it cannot; a page that is touched without, and cannot be had, ends the process.
    await memory.PrefetchAsync(0, 4096);
    CountUp(MemoryMarshal.Cast<byte, long>(memory.Slice(0, 4096).Span));

    // Durable at the remote from here on.
    await memory.FlushAsync();
    var status = await mount.GetStatusAsync();
    Console.WriteLine($"counted up, dirty after the flush: {status.DirtyBytes} bytes");
    Console.WriteLine($"the first of 512 numbers: {MemoryMarshal.Cast<byte, long>(memory.Slice(0, 4096).Span)[0]}");
}

MountCloseReport report = await mount.CloseAsync();
Console.WriteLine(report.IsComplete ? "everything is at the remote" : $"{report.UnpushedBytes} bytes are kept in {report.KeptIn}: {report.Error?.Message}");
return report.IsComplete ? 0 : 1;

static void CountUp(Span<long> numbers)
{
    foreach (ref long number in numbers)
        number++;
}
