using System.Globalization;
using System.Runtime.ExceptionServices;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>
/// Makes calls that wait inside the kernel for this process itself, such as an fsync of a file that it serves. When the process is killed meanwhile the kernel fails what waits for it only
/// once no opening of <c>/dev/fuse</c> is left; and a thread inside such a call keeps the process's descriptors. It would wait for ever, with whoever uses the file. So it
/// has a table of descriptors of its own, without any that were opened before: a copy of another file would keep that from being unmounted.
/// </summary>
/// <remarks>
/// What the thread opens is closed by it, and nothing goes on there after the call: another thread that began there would have its table. See docs/decisions/0113.
/// </remarks>
internal static class ApartThread
{
    private static readonly Lazy<uint[]> s_kept = new(FindRuntimeMemory);

    /// <summary>Makes a call, and waits for it; what it throws is thrown.</summary>
    public static T Run<T>(Func<T> call)
    {
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        uint[] kept = s_kept.Value;
        var thread = new Thread(() =>
        {
            try
            {
                LeaveDescriptors(kept);
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

    // Without a table of its own, before Linux 5.9, it is as any thread: nothing is lost but where the process is killed.
    private static void LeaveDescriptors(uint[] kept)
    {
        uint first = 3;
        foreach (uint number in kept)
        {
            if (number > first && Libc.CloseRange(first, number - 1, Libc.CLOSE_RANGE_UNSHARE) != 0)
                return;
            first = number + 1;
        }

        _ = Libc.CloseRange(first, uint.MaxValue, Libc.CLOSE_RANGE_UNSHARE);
    }

    // The runtime maps memory for code that it compiles from a file of its own, on whatever thread that is; it is open from the beginning on.
    private static uint[] FindRuntimeMemory()
    {
        var found = new List<uint>();
        foreach (string path in Directory.GetFiles("/proc/self/fd"))
        {
            if (uint.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out uint number)
                && new FileInfo(path).LinkTarget?.Contains("doublemapper", StringComparison.Ordinal) == true)
            {
                found.Add(number);
            }
        }

        found.Sort();
        return [.. found.Where(static number => number >= 3)];
    }
}
