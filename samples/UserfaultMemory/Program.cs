// Remote bytes as memory of this process: no mount, no device, no root. A table of numbers that is far away is counted up with each run; only what is
// used is brought, and no more than the limit is in memory at one time.
using System.Runtime.InteropServices;
using Farspan.Linux.Userfaults;

if (args.Length is < 1 or > 2)
{
    Console.Error.WriteLine("usage: UserfaultMemory BACKEND [CACHE], such as UserfaultMemory 'file:numbers?size=64MiB' numbers.cache");
    return 2;
}

var options = new RemoteMemoryOptions { Cache = args.Length == 2 ? Path.GetFullPath(args[1]) : null, ResidentLimit = 4 << 20 };
await using RemoteMemory memory = await RemoteMemory.MapAsync(args[0], options);

// A view is present until it is disposed, so its span is safe beside the garbage collector.
using (MemoryView view = await memory.AcquireAsync(offset: 0, length: 4096))
{
    foreach (ref long number in MemoryMarshal.Cast<byte, long>(view.Span))
        number++;
}

// Copies need no view. This one is of the region's last eight bytes.
memory.CopyFrom(memory.Length - 8, "the end."u8);

// Durable at the remote from here on.
await memory.FlushAsync();
byte[] end = new byte[8];
memory.CopyTo(memory.Length - 8, end);
using (MemoryView view = await memory.AcquireAsync(0, 8))
    Console.WriteLine($"counted to {MemoryMarshal.Read<long>(view.ReadOnlySpan)}, and at the end stands '{System.Text.Encoding.ASCII.GetString(end)}'");
Console.WriteLine($"{memory.Status.ResidentBytes >> 10} KiB of {memory.Length >> 10} KiB were in memory");
RemoteMemoryReport report = await memory.CloseAsync();
Console.WriteLine(report.IsComplete ? "everything is at the remote" : $"not saved: {report.UnsavedBytes} bytes: {report.Error?.Message}");
return report.IsComplete ? 0 : 1;
