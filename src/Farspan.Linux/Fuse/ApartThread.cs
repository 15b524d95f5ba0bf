using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>
/// Makes calls that wait inside the kernel for this process itself, such as an fsync of a file that it serves. When the process is killed meanwhile the kernel fails what waits for it only
/// once no opening of <c>/dev/fuse</c> is left; and a thread inside such a call keeps the process's descriptors. It would wait for ever, with whoever uses the file. So it
/// has a table of descriptors of its own, without these openings.
/// </summary>
/// <remarks>
/// What the thread opens is closed by it, and nothing goes on there after the call: another thread that began there would have its table. See docs/decisions/0113.
/// </remarks>
internal static class ApartThread
{
    private static readonly ConcurrentDictionary<int, byte> s_openings = new();

    /// <summary>There is an opening of <c>/dev/fuse</c>.</summary>
    public static void Add(int opening) => s_openings[opening] = 0;

    /// <summary>It is closed.</summary>
    public static void Remove(int opening) => s_openings.TryRemove(opening, out _);

    /// <summary>Makes a call, and waits for it; what it throws is thrown.</summary>
    public static T Run<T>(Func<T> call)
    {
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                LeaveOpenings();
                result = call();
            }
            catch (Exception error)
            {
                failure = ExceptionDispatchInfo.Capture(error);
            }
        })
        {
            IsBackground = true, Name = "fuse, apart",
        };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }

    // Without a table of its own it is as any thread: nothing is lost but where the process is killed.
    private static void LeaveOpenings()
    {
        if (Libc.Unshare(Libc.CLONE_FILES) != 0)
            return;
        foreach (int opening in s_openings.Keys)
            _ = Libc.Close(opening);
    }
}
