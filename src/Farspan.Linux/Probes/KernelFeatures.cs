using System.Runtime.InteropServices;
using Farspan.Linux.Interop;
using Microsoft.Win32.SafeHandles;

namespace Farspan.Linux.Probes;

/// <summary>Finds out what the kernel offers by trying it, never by its version. Everything tried is undone.</summary>
public static unsafe partial class KernelFeatures
{
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

    private static string Text(Errno errno) => $"{Marshal.GetPInvokeErrorMessage((int)errno)} ({errno})";
}
