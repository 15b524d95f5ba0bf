using System.Globalization;

namespace Farspan.Linux.Fuse;

/// <summary>What <c>/proc</c> says of a thread of another process.</summary>
internal static class ProcessStatus
{
    private const ulong Kill = 1UL << (9 - 1);

    /// <summary>Whether the thread is about to die: every deadly signal shows as a pending SIGKILL. False where that cannot be known.</summary>
    public static bool HasPendingKill(int threadId)
    {
        if (threadId <= 0)
            return false;
        try
        {
            foreach (string line in File.ReadLines($"/proc/{threadId}/status"))
            {
                bool isPending = line.StartsWith("SigPnd:", StringComparison.Ordinal) || line.StartsWith("ShdPnd:", StringComparison.Ordinal);
                if (isPending && (ulong.Parse(line.AsSpan(7).Trim(), NumberStyles.HexNumber) & Kill) != 0)
                    return true;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException)
        {
            return false;
        }

        return false;
    }
}
