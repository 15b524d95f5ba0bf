using System.Globalization;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Processes;

/// <summary>What a program does to leave its terminal and go on in the background. Call it early, from one thread.</summary>
public static class DetachedSession
{
    /// <summary>
    /// Keeps descriptors that this process inherited (beyond standard input, output and error) from the programs it starts, so that a
    /// background process does not hold a caller's pipe or lock open.
    /// </summary>
    public static void KeepDescriptorsFromChildren()
    {
        foreach (string entry in Directory.EnumerateFileSystemEntries("/proc/self/fd"))
        {
            if (!int.TryParse(Path.GetFileName(entry), CultureInfo.InvariantCulture, out int descriptor) || descriptor <= 2)
                continue;
            int flags = Libc.Fcntl(descriptor, Libc.F_GETFD, 0);
            if (flags >= 0 && (flags & Libc.FD_CLOEXEC) == 0)
                _ = Libc.Fcntl(descriptor, Libc.F_SETFD, flags | Libc.FD_CLOEXEC);
        }
    }

    /// <summary>Enters a session of its own, so that the terminal's signals and end no longer reach this process.</summary>
    /// <exception cref="Backends.BackendException">The process leads a group already.</exception>
    public static void Enter()
    {
        if (Libc.SetSid() < 0)
            throw LinuxError.Exception(LinuxError.Last, "setsid");
    }

    /// <summary>Points standard input at nothing, and standard output and error at the end of a file, which is made when absent.</summary>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public static void RedirectStandardStreams(string logPath)
    {
        using var nothing = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.Read);
        using var log = File.OpenHandle(logPath, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        Replace(nothing, 0);
        Replace(log, 1);
        Replace(log, 2);
    }

    private static void Replace(Microsoft.Win32.SafeHandles.SafeFileHandle by, int descriptor)
    {
        if (Libc.Dup2(by, descriptor) < 0)
            throw LinuxError.Exception(LinuxError.Last, $"dup2 to descriptor {descriptor}");
    }
}
