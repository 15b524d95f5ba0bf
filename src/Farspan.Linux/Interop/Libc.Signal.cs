using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of signal.h.</summary>
internal static partial class Libc
{
    [LibraryImport("libc", EntryPoint = "sigaction", SetLastError = true)]
    public static unsafe partial int SignalAction(int signal, SignalActionArgument* action, SignalActionArgument* old);

    public const int SIGKILL = 9;
    public const int SIGTERM = 15;
    public const int SIGCONT = 18;
    public const int SIGSTOP = 19;
    public const int SIGTSTP = 20;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int processId, int signal);

    [LibraryImport("libc", EntryPoint = "tgkill", SetLastError = true)]
    public static partial int KillThread(int processId, int threadId, int signal);
}
