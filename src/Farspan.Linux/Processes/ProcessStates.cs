using System.Globalization;

namespace Farspan.Linux.Processes;

/// <summary>What <c>/proc</c> says of other processes' groups and of what their threads do.</summary>
internal static class ProcessStates
{
    /// <summary>The processes of a group that live.</summary>
    public static List<int> OfGroup(int groupId)
    {
        string group = groupId.ToString(CultureInfo.InvariantCulture);
        var members = new List<int>();
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out int processId)
                && Fields(directory) is { } fields && fields[2] == group && !HasEnded(fields[0]))
            {
                members.Add(processId);
            }
        }

        return members;
    }

    /// <summary>Whether no thread of a process runs: each is stopped or has ended. A process that is gone counts so too.</summary>
    public static bool IsStopped(int processId)
    {
        try
        {
            foreach (string thread in Directory.EnumerateDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/task")))
            {
                if (Fields(thread) is { } fields && fields[0] is not ("T" or "t") && !HasEnded(fields[0]))
                    return false;
            }

            return true;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static bool HasEnded(string state) => state is "Z" or "X" or "x";

    // proc(5): the second field, in parentheses, may hold anything; the third is the state, then the parent and the group.
    private static string[]? Fields(string directory)
    {
        try
        {
            string text = File.ReadAllText(Path.Combine(directory, "stat"));
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
