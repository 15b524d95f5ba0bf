using System.Globalization;

namespace Farspan.Linux.Processes;

/// <summary>Whether a process lives, and is the one that is meant.</summary>
public static class ProcessLife
{
    /// <summary>
    /// When the process started, in ticks since the system did, which tells it from a later one of its number; null when none lives. One that
    /// has ended counts as dead, also while nobody has asked how it ended.
    /// </summary>
    public static long? StartOf(int processId)
    {
        try
        {
            // proc(5): the second field, in parentheses, may hold anything; the third is the state, the twenty-second the start.
            string text = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/stat"));
            string[] fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" or "x" ? null : long.Parse(fields[19], CultureInfo.InvariantCulture);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
