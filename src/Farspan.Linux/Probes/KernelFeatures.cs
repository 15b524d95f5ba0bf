using System.Runtime.InteropServices;
using Farspan.Linux.Interop;
using Microsoft.Win32.SafeHandles;

namespace Farspan.Linux.Probes;

/// <summary>Finds out what the kernel offers by trying it, never by its version. Everything tried is undone.</summary>
public static unsafe class KernelFeatures
{
    private const ulong WriteProtectFeature = 1 << 0;
    private const ulong AsyncWriteProtectFeature = 1 << 15;

    /// <summary>Memory whose page faults this process answers (userfaultfd(2)).</summary>
    public static KernelFeature ProbeUserfaults()
    {
        const string name = "userfaultfd";
        var descriptor = OpenUserfault(out var errno, out string how);
        using (descriptor)
        {
            if (descriptor.IsInvalid)
                return new KernelFeature(name, false, $"userfaultfd: {Text(errno)}", "as root: sysctl vm.unprivileged_userfaultfd=1, or grant access to /dev/userfaultfd");
            ulong* api = stackalloc ulong[3];
            api[0] = Libc.UFFD_API;
            api[1] = 0;
            if (Libc.Ioctl(descriptor, Libc.UFFDIO_API, (nint)api) < 0)
                return new KernelFeature(name, false, $"UFFDIO_API: {Text(LinuxError.Last)}", "use a kernel with userfaultfd");
            string writeProtect = (api[1] & AsyncWriteProtectFeature) != 0 ? ", write-protect with asynchronous tracking"
                : (api[1] & WriteProtectFeature) != 0 ? ", write-protect" : ", no write-protect";
            return new KernelFeature(name, true, how + writeProtect, "");
        }
    }

    /// <summary>Asynchronous system calls (io_uring_setup(2)).</summary>
    public static KernelFeature ProbeIoUring()
    {
        byte* parameters = stackalloc byte[Libc.IoUringParametersSize];
        new Span<byte>(parameters, Libc.IoUringParametersSize).Clear();
        long result = Libc.SystemCall(Libc.IoUringSetupSystemCall, 1, (nint)parameters);
        if (result < 0)
            return new KernelFeature("io_uring", false, $"io_uring_setup: {Text(LinuxError.Last)}", "as root: sysctl kernel.io_uring_disabled=0");
        new SafeFileHandle((nint)result, ownsHandle: true).Dispose();
        return new KernelFeature("io_uring", true, "a ring was set up", "");
    }

    /// <summary>FUSE requests over io_uring, which the module has to allow.</summary>
    public static KernelFeature ProbeFuseOverIoUring()
    {
        const string name = "fuse over io_uring";
        const string parameter = "/sys/module/fuse/parameters/enable_uring";
        try
        {
            return File.ReadAllText(parameter).Trim() is "Y" or "1"
                ? new KernelFeature(name, true, "allowed", "")
                : new KernelFeature(name, false, "switched off", $"as root: echo Y > {parameter}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new KernelFeature(name, false, "the kernel does not offer it", "use a kernel 6.14 or later, with CONFIG_FUSE_IO_URING");
        }
    }

    /// <summary>Block devices on files (/dev/loop-control).</summary>
    public static KernelFeature ProbeLoop()
    {
        using var control = Open("/dev/loop-control", out string failure);
        if (control is null)
            return new KernelFeature("loop", false, failure, "as root: modprobe loop");
        int number = Libc.Ioctl(control, Libc.LOOP_CTL_GET_FREE, 0);
        return number < 0
            ? new KernelFeature("loop", false, $"LOOP_CTL_GET_FREE: {Text(LinuxError.Last)}", "as root: modprobe loop")
            : new KernelFeature("loop", true, $"/dev/loop{number} is free", "");
    }

    /// <summary>The kernel's NBD client (/dev/nbd0).</summary>
    public static KernelFeature ProbeNbd() => ProbeDevice("nbd", "/dev/nbd0", "as root: modprobe nbd");

    /// <summary>Block devices in user space (/dev/ublk-control).</summary>
    public static KernelFeature ProbeUblk() => ProbeDevice("ublk", "/dev/ublk-control", "as root: modprobe ublk_drv");

    /// <summary>The FUSE device, opened as a mount does.</summary>
    public static KernelFeature ProbeFuseDevice()
        => ProbeDevice("/dev/fuse", "/dev/fuse", "as root: modprobe fuse; chmod 666 /dev/fuse; in a container: --device /dev/fuse --cap-add SYS_ADMIN");

    private static KernelFeature ProbeDevice(string name, string path, string remedy)
    {
        using var device = Open(path, out string failure);
        return device is null ? new KernelFeature(name, false, failure, remedy) : new KernelFeature(name, true, $"{path} opens", "");
    }

    private static SafeFileHandle? Open(string path, out string failure)
    {
        failure = "";
        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        }
        catch (FileNotFoundException)
        {
            failure = $"{path} does not exist";
        }
        catch (UnauthorizedAccessException)
        {
            failure = $"{path} may not be opened by this user";
        }
        catch (IOException error)
        {
            failure = $"{path}: {error.Message}";
        }

        return null;
    }

    private static SafeFileHandle OpenUserfault(out Errno errno, out string how)
    {
        const int closeOnExec = 0x80000;
        errno = Errno.Ok;
        using (var device = Open("/dev/userfaultfd", out _))
        {
            int opened = device is null ? -1 : Libc.Ioctl(device, Libc.USERFAULTFD_IOC_NEW, closeOnExec);
            how = "through /dev/userfaultfd";
            if (opened >= 0)
                return new SafeFileHandle(opened, ownsHandle: true);
        }

        long descriptor = Libc.SystemCall(Libc.UserfaultSystemCall, closeOnExec, 0);
        how = "through userfaultfd(2)";
        if (descriptor < 0)
        {
            descriptor = Libc.SystemCall(Libc.UserfaultSystemCall, closeOnExec | Libc.UFFD_USER_MODE_ONLY, 0);
            how = "for faults from user mode only";
        }

        if (descriptor < 0)
            errno = LinuxError.Last;
        return new SafeFileHandle((nint)descriptor, ownsHandle: true);
    }

    private static string Text(Errno errno) => $"{Marshal.GetPInvokeErrorMessage((int)errno)} ({errno})";
}
