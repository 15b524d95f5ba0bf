using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of signal.h.</summary>
internal static partial class Libc
{
    [LibraryImport("libc", EntryPoint = "sigaction", SetLastError = true)]
    public static unsafe partial int SignalAction(int signal, SignalActionArgument* action, SignalActionArgument* old);

    public const int SIGTERM = 15;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int processId, int signal);

    [LibraryImport("libc", EntryPoint = "tgkill", SetLastError = true)]
    public static partial int KillThread(int processId, int threadId, int signal);
}
