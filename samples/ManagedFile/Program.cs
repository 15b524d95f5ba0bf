// Mounts a backend with a cache directory: what is read or written is local, and what is written is pushed. Run it again with the same cache and
// nothing has to come from the backend a second time.
using System.Text;
using Farspan.Backends;
using Farspan.Linux;
using Farspan.Linux.Mounts;
using Farspan.Mounts;
using Farspan.Nbd;

if (args.Length != 3)
{
    Console.Error.WriteLine("usage: ManagedFile BACKEND TARGET CACHE, such as ManagedFile 'file:disk.img?size=1MiB' mounted.img disk.cache");
    return 2;
}

var backends = new BackendRegistry().AddCoreBackends().AddLinuxBackends().AddNbdBackends();
var options = new ManagedMountOptions
{
    CacheDirectory = args[2],
    PullOrder = PullOrder.Ranges([(0, 64 << 10)]),
    Hooks = new ManagedMountHooks { OutageBegan = outage => Console.Error.WriteLine($"the remote does not answer: {outage.LastError.Message}") },
};
await using ManagedMount mount = await RemoteMount.OpenManagedAsync(args[0], backends, args[1], options);
Console.WriteLine($"mounted {mount.Length} bytes at {mount.Path}");

using (var file = mount.OpenFile())
{
    file.WriteAt(4096, "written here"u8);
    byte[] again = new byte[12];
    file.ReadAt(4096, again);
    Console.WriteLine($"read: {Encoding.UTF8.GetString(again)}");

    // Durable at the remote from here on; with Flush = FlushMode.Local, in the cache directory.
    await file.FlushAsync();
    var status = await mount.GetStatusAsync();
    Console.WriteLine($"dirty after the flush: {status.DirtyBytes} bytes; outage: {status.Outage?.Since.ToString() ?? "none"}");
}

// Unmounts, pushes what is left, and says what could not be pushed, which the cache directory keeps for the next time.
MountCloseReport report = await mount.CloseAsync();
Console.WriteLine(report.IsComplete ? "everything is at the remote" : $"{report.UnpushedBytes} bytes are kept in {report.KeptIn}: {report.Error?.Message}");
return report.IsComplete ? 0 : 1;
