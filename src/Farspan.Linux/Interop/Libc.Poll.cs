using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of poll.h.</summary>
internal static unsafe partial class Libc
{
    public const short POLLIN = 1;
    public const short POLLERR = 8;

    /// <summary>Waits, for a time in milliseconds, until something has happened to one of the descriptors.</summary>
    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    public static partial int Poll(PollEntry* entries, nuint count, int timeout);
}
