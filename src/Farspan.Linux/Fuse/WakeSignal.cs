using System.Runtime.InteropServices;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>
/// Interrupts a thread that waits inside the kernel. A blocked read of <c>/dev/fuse</c> cannot be ended otherwise once the mount is detached;
/// polling instead would wake every reader for each request.
/// </summary>
internal static unsafe class WakeSignal
{
    // The C library keeps the first real-time signals, .NET the next one; this is the last but two.
    private const int Number = 62;

    private static readonly bool s_isInstalled = Install();

    public static void Send(int threadId)
    {
        if (s_isInstalled)
            _ = Libc.KillThread(Environment.ProcessId, threadId, Number);
    }

    // The handler is a C function without any effect: a managed one could not run inside a signal. No SA_RESTART, so that the read ends.
    private static bool Install()
    {
        var action = default(SignalActionArgument);
        if (Libc.SignalAction(Number, null, &action) != 0 || action.Handler != 0)
            return false;
        action.Handler = NativeLibrary.GetExport(NativeLibrary.Load("libc", typeof(WakeSignal).Assembly, searchPath: null), "labs");
        return Libc.SignalAction(Number, &action, null) == 0;
    }
}
