using Farspan.Backends;
using Farspan.EndToEnd.Tests.NbdServer;
using Farspan.Linux;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Farspan.Transports;
using Xunit;

namespace Farspan.EndToEnd.Tests.Guest;

/// <summary>The Linux kernel's own NBD client against our server.</summary>
public sealed class KernelNbdTests
{
    [RequiresFact(KernelGuest.Emulator, "nbd-client", "e2fsck", "debugfs", "apt-get", Timeout = 400_000)]
    public async Task FilesystemMadeByTheKernel_IsWholeAtTheServer()
    {
        using var directory = new TemporaryDirectory();
        string image = directory["disk.img"];
        string console;
        var registry = new BackendRegistry().AddCoreBackends().AddLinuxBackends();
        await using (var server = RunningServer.Start([new NbdExport { Name = "disk", Backend = await registry.OpenAsync($"file:{image}?size=64MiB") }]))
        {
            var endpoint = server.Listen(StreamEndpoint.Tcp("127.0.0.1", 0));
            console = await KernelGuest.RunAsync($"""
                nbd-client 10.0.2.2 {endpoint.Port} /dev/nbd0 -N disk -C 2
                echo "SIZE $(cat /sys/block/nbd0/size) ro $(cat /sys/block/nbd0/ro) fua $(cat /sys/block/nbd0/queue/fua) discard $(cat /sys/block/nbd0/queue/discard_max_bytes)"
                >/etc/mtab; /sbin/mke2fs -q -t ext4 /dev/nbd0
                mount -t ext4 -o discard /dev/nbd0 /mnt
                dd if=/dev/urandom of=/mnt/kept bs=64k count=200 conv=fsync
                dd if=/dev/urandom of=/mnt/removed bs=64k count=300 conv=fsync
                rm /mnt/removed
                fstrim -v /mnt
                echo "SUM $(md5sum </mnt/kept)"
                umount /mnt
                /sbin/e2fsck -fn /dev/nbd0
                nbd-client -d /dev/nbd0
                """);
        }

        Assert.Contains("SIZE 131072 ro 0 fua 1", console, StringComparison.Ordinal);
        string sum = console.Split('\n').First(l => l.StartsWith("SUM ", StringComparison.Ordinal)).Split(' ')[1];
        await PeerProcess.RunOkAsync("e2fsck", ["-fn", image]);
        await PeerProcess.RunOkAsync("debugfs", ["-R", $"dump /kept {directory["kept"]}", image]);
        string found = await PeerProcess.RunOkAsync("md5sum", [directory["kept"]]);
        Assert.Equal(sum, found.Split(' ')[0]);
    }
}
