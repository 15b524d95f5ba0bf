using System.Runtime.InteropServices;
using System.Text;
using Farspan.Linux.Interop;
using Farspan.Mounts;

namespace Farspan.Linux.Fuse;

/// <summary>
/// A program run to its end with exactly the descriptors it is to have; the BCL's Process cannot hand one over.
/// </summary>
internal static unsafe class ChildProcess
{
    private const int StandardError = 2;
    private const int MaximumErrorLength = 4096;

    /// <summary>Starts a program of the search path.</summary>
    /// <param name="program">Its name.</param>
    /// <param name="arguments">Its arguments, without its own name.</param>
    /// <param name="inherited">The descriptor that it gets.</param>
    /// <param name="number">The number that <paramref name="inherited"/> has there.</param>
    /// <param name="variables">Its whole environment, each as <c>NAME=value</c>.</param>
    /// <param name="error">The end to read its standard error from.</param>
    /// <returns>Its process id.</returns>
    public static int Start(
        string program, IReadOnlyList<string> arguments, SafeDescriptor? inherited, int number, IReadOnlyList<string> variables, out SafeDescriptor error)
    {
        int* pipe = stackalloc int[2];
        if (Libc.Pipe(pipe, Libc.O_CLOEXEC) != 0)
            throw LinuxError.Exception(LinuxError.Last, "creating a pipe");
        error = new SafeDescriptor(pipe[0]);
        using var errorEnd = new SafeDescriptor(pipe[1]);
        byte* actions = stackalloc byte[Libc.SpawnFileActionsLength];
        _ = Libc.InitSpawnFileActions(actions);
        using var argumentList = new NativeStrings([program, .. arguments]);
        using var environment = new NativeStrings(variables);
        try
        {
            _ = Libc.AddSpawnDuplicate(actions, errorEnd.Number, StandardError);
            if (inherited is not null)
                _ = Libc.AddSpawnDuplicate(actions, inherited.Number, number);
            int processId;
            int errno = Libc.Spawn(&processId, argumentList.List[0], actions, null, argumentList.List, environment.List);
            if (errno == 0)
                return processId;
            error.Dispose();
            throw (Errno)errno == Errno.ENOENT
                ? new MountException($"{program} is not installed; users other than root need it to mount (package fuse3).")
                : new MountException($"Cannot start {program}: {Marshal.GetPInvokeErrorMessage(errno)}.");
        }
        finally
        {
            _ = Libc.DestroySpawnFileActions(actions);
        }
    }

    /// <summary>Waits for the end of a program that <see cref="Start"/> started; its exit code (-1 when a signal ended it), and what it said.</summary>
    public static (int ExitCode, string Error) Finish(int processId, SafeDescriptor error)
    {
        var text = new StringBuilder();
        byte* buffer = stackalloc byte[256];
        nint length;
        while ((length = Libc.Read(error.Number, buffer, 256)) > 0 || (length < 0 && LinuxError.Last == Errno.EINTR))
        {
            if (length > 0 && text.Length < MaximumErrorLength)
                text.Append(Encoding.UTF8.GetString(buffer, (int)length));
        }

        error.Dispose();
        int status = 0;
        int waited;
        do
            waited = Libc.WaitForProcess(processId, &status, 0);
        while (waited < 0 && LinuxError.Last == Errno.EINTR);
        int exitCode = waited == processId && (status & 0x7F) == 0 ? (status >> 8) & 0xFF : -1;
        return (exitCode, text.ToString().Trim());
    }
}
