using System.Runtime.InteropServices;
using Farspan.Linux.Interop;
using Microsoft.Win32.SafeHandles;

namespace Farspan.Linux.Probes;

/// <content>Memory whose page faults a process answers (userfaultfd(2)).</content>
public static unsafe partial class KernelFeatures
{
    private const ulong WriteProtect = 1 << 0;
    private const ulong MissingShared = 1 << 5;
    private const ulong MinorShared = 1 << 10;
    private const ulong WriteProtectShared = 1 << 12;
    private const ulong Poison = 1 << 14;
    private const ulong AsyncWriteProtect = 1 << 15;
    private const ulong Move = 1 << 16;
    private const int CloseOnExec = 0x80000;

    private const string UserModeOnly = "of threads in user mode only, which is enough for remote memory";

    // struct pm_scan_arg, and _IOWR('f', 16, 96 bytes) on it.
    private const int ScanArgumentSize = 96;
    private const ulong PagemapScan = 0xC0606610;

    /// <summary>Userfaults: whether this user has them at all, for faults of whom, and each further power of them by itself.</summary>
    public static IReadOnlyList<KernelFeature> ProbeUserfaults() =>
    [
        AnyUserfault(),
        KernelModeUserfaults(),
        Power("userfaults: write-protect", WriteProtect, "a kernel 5.7 or later, with CONFIG_HAVE_ARCH_USERFAULTFD_WP"),
        Tracking(),
        Power("userfaults: shared memory", MissingShared | MinorShared | WriteProtectShared, "a kernel 5.19 or later, with CONFIG_PTE_MARKER_UFFD_WP"),
        Power("userfaults: poison", Poison, "a kernel 6.6 or later"),
        Power("userfaults: move", Move, "a kernel 6.8 or later"),
    ];

    private static KernelFeature AnyUserfault()
    {
        const string name = "userfaults";
        using var descriptor = OpenUserfault(out var errno, out string how);
        if (descriptor.IsInvalid)
            return new KernelFeature(name, false, $"userfaultfd: {Text(errno)}", "use a kernel with CONFIG_USERFAULTFD; in a container, allow the system call userfaultfd (seccomp)");
        return TryApi(descriptor, 0) is { } failure
            ? new KernelFeature(name, false, failure, "use a kernel with CONFIG_USERFAULTFD")
            : new KernelFeature(name, true, how, "");
    }

    private static KernelFeature KernelModeUserfaults()
    {
        const string name = "userfaults: of the kernel";
        using var descriptor = OpenUserfault(out _, out string how);
        return how.Length > 0 && !descriptor.IsInvalid && how != UserModeOnly
            ? new KernelFeature(name, true, "read(2) and write(2) on such memory work", "")
            : new KernelFeature(name, false, "read(2) and write(2) on such memory fail with EFAULT where bytes are missing", "as root: setfacl -m u:USER:rw /dev/userfaultfd, or sysctl vm.unprivileged_userfaultfd=1");
    }

    private static KernelFeature Tracking()
    {
        const string kernel = "a kernel 6.7 or later";
        var writes = Power("userfaults: tracking", AsyncWriteProtect, kernel);
        if (!writes.IsAvailable)
            return writes;
        byte* argument = stackalloc byte[ScanArgumentSize];
        new Span<byte>(argument, ScanArgumentSize).Clear();
        *(ulong*)argument = ScanArgumentSize;
        using var map = File.OpenHandle("/proc/self/pagemap", FileMode.Open, FileAccess.Read);
        return Libc.Ioctl(map, PagemapScan, (nint)argument) < 0
            ? new KernelFeature(writes.Name, false, $"PAGEMAP_SCAN: {Text(LinuxError.Last)}", $"use {kernel}")
            : new KernelFeature(writes.Name, true, "asynchronous write-protect and PAGEMAP_SCAN", "");
    }

    /// <summary>Asks for features; each answer takes a descriptor of its own.</summary>
    private static KernelFeature Power(string name, ulong features, string kernel)
    {
        using var descriptor = OpenUserfault(out var errno, out _);
        if (descriptor.IsInvalid)
            return new KernelFeature(name, false, $"userfaultfd: {Text(errno)}", "see userfaults");
        return TryApi(descriptor, features) is null
            ? new KernelFeature(name, true, "granted", "")
            : new KernelFeature(name, false, "the kernel does not offer it", $"use {kernel}");
    }

    private static string? TryApi(SafeFileHandle descriptor, ulong features)
    {
        ulong* api = stackalloc ulong[3];
        api[0] = Libc.UFFD_API;
        api[1] = features;
        return Libc.Ioctl(descriptor, Libc.UFFDIO_API, (nint)api) < 0 ? $"UFFDIO_API: {Text(LinuxError.Last)}" : null;
    }

    private static SafeFileHandle OpenUserfault(out Errno errno, out string how)
    {
        errno = Errno.Ok;
        using (var device = Open("/dev/userfaultfd", out _))
        {
            int opened = device is null ? -1 : Libc.Ioctl(device, Libc.USERFAULTFD_IOC_NEW, CloseOnExec);
            how = "through /dev/userfaultfd";
            if (opened >= 0)
                return new SafeFileHandle(opened, ownsHandle: true);
        }

        long descriptor = Libc.SystemCall(Libc.UserfaultSystemCall, CloseOnExec, 0);
        how = "through userfaultfd(2)";
        if (descriptor < 0)
        {
            descriptor = Libc.SystemCall(Libc.UserfaultSystemCall, CloseOnExec | Libc.UFFD_USER_MODE_ONLY, 0);
            how = UserModeOnly;
        }

        if (descriptor < 0)
            errno = LinuxError.Last;
        return new SafeFileHandle((nint)descriptor, ownsHandle: true);
    }
}
