using Farspan.TestKit;
using Farspan.TestKit.Peers;

namespace Farspan.EndToEnd.Tests.Guest;

/// <summary>
/// A small Linux guest under software emulation, with the kernel's own block devices (nbd), which this host's kernel may lack. It reaches
/// servers on the host's loopback at 10.0.2.2.
/// </summary>
internal static class KernelGuest
{
    /// <summary>What <see cref="RunAsync"/> needs, for <see cref="RequiresFactAttribute"/>.</summary>
    public const string Emulator = "qemu-system-x86_64";

    private static readonly SemaphoreSlim Preparation = new(1);

    /// <summary>Boots, runs the shell script as the first process, and returns what it printed to the console.</summary>
    /// <param name="script">Lines for busybox's sh, which prefers its own commands to those of /sbin unless they are named with their path; /proc, /sys, /dev, the network and the nbd module are ready. A command that fails ends the guest.</param>
    public static async Task<string> RunAsync(string script)
    {
        string guest = Path.Combine(RepositoryRoot, "artifacts", "guest");
        await Preparation.WaitAsync();
        try
        {
            await PeerProcess.RunOkAsync("bash", [Path.Combine(RepositoryRoot, "eng", "guest.sh"), guest], TimeSpan.FromMinutes(3));
        }
        finally
        {
            Preparation.Release();
        }

        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["init"], Prologue + script + "\necho GUEST-OK\npoweroff -f\n");
        File.SetUnixFileMode(directory["init"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
        string pack = $"cd {directory.Path} && {{ cat {guest}/base.cpio.gz; echo init | {guest}/tools/bin/busybox cpio -o -H newc | gzip -1; }} >initrd";
        await PeerProcess.RunOkAsync("sh", ["-c", pack]);
        await using var machine = await PeerProcess.RunAsync(
            Emulator,
            [
                "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "512", "-nographic", "-no-reboot",
                "-kernel", $"{guest}/vmlinuz", "-initrd", directory["initrd"], "-append", "console=ttyS0 quiet panic=-1 rdinit=/init",
                "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0",
            ],
            TimeSpan.FromMinutes(3));
        return machine.Output.Contains("GUEST-OK", StringComparison.Ordinal) ? machine.Output : throw new InvalidOperationException(machine.Report);
    }

    private const string Prologue = """
        #!/bin/busybox sh
        /bin/busybox --install -s /bin
        export PATH=/sbin:/bin
        trap 'echo GUEST-FAILED; poweroff -f' EXIT
        set -e
        mount -t proc proc /proc
        mount -t sysfs sys /sys
        mount -t devtmpfs dev /dev
        for module in failover net_failover virtio_net nbd; do insmod /lib/modules/$module.ko; done
        ifconfig lo up
        ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up

        """;

    private static string RepositoryRoot { get; } = FindRoot();

    private static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Farspan.slnx")))
                return directory.FullName;
        }

        throw new InvalidOperationException($"{AppContext.BaseDirectory} does not lie inside a checkout.");
    }
}
