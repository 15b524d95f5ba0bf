// Mounts a backend, and uses it as a file and as memory at once. A farspan process of its own serves the mount: a process must never map what
// it serves itself, nor what is served by a server inside it.
using System.Text;
using Farspan.Linux.Mounts;

if (args.Length != 2)
{
    Console.Error.WriteLine("usage: RemoteFile BACKEND TARGET, such as RemoteFile 'file:disk.img?size=1MiB' mounted.img");
    return 2;
}

await using DirectMount mount = await RemoteMount.OpenDirectAsync(args[0], args[1]);
Console.WriteLine($"mounted {mount.Length} bytes at {mount.Path}");

using (var file = mount.OpenFile())
using (var memory = mount.OpenMemory())
{
    // As a file: a stream, and reads and writes at any offset.
    file.WriteAt(4096, "written as a file"u8);

    // The same bytes as memory: a span over the mapping, whose pages come when they are touched, or ahead of that.
    await memory.PrefetchAsync(0, 64 << 10);
    Span<byte> bytes = memory.Slice(4096, 17).Span;
    Console.WriteLine($"memory reads: {Encoding.UTF8.GetString(bytes)}");
    "WRITTEN"u8.CopyTo(bytes);

    byte[] again = new byte[17];
    file.ReadAt(4096, again);
    Console.WriteLine($"file reads: {Encoding.UTF8.GetString(again)}");

    // Durable at the remote from here on.
    await file.FlushAsync();
}

// Unmounts, and throws if something could not be made durable.
await mount.CloseAsync();
Console.WriteLine("unmounted");
return 0;
