using System.Text;

namespace Farspan.Cli.Mounting;

/// <summary>What is mounted where, as the kernel tells this process.</summary>
internal static class MountTable
{
    private const string FarspanFileSystem = "fuse.farspan";

    /// <summary>Whether a Farspan file is mounted at a path.</summary>
    public static bool IsFarspanMount(string path) => FileSystemAt(path) == FarspanFileSystem;

    /// <summary>The type of the file system mounted at exactly this path, the topmost where there are several; null where there is none.</summary>
    public static string? FileSystemAt(string path)
    {
        string? found = null;
        foreach (string line in File.ReadLines("/proc/self/mountinfo"))
        {
            // proc(5): id, parent, device, root, mount point, options, optional fields, "-", type, source, super options.
            string[] fields = line.Split(' ');
            int separator = Array.IndexOf(fields, "-", 6);
            if (separator > 0 && separator + 1 < fields.Length && Unescape(fields[4]) == path)
                found = fields[separator + 1];
        }

        return found;
    }

    private static string Unescape(string field)
    {
        if (!field.Contains('\\', StringComparison.Ordinal))
            return field;
        // Space, tab, newline and backslash stand as three octal digits; other bytes stand for themselves, as UTF-8.
        var text = new StringBuilder();
        for (int at = 0; at < field.Length; at++)
        {
            if (field[at] == '\\' && at + 3 < field.Length)
            {
                text.Append((char)Convert.ToInt32(field.Substring(at + 1, 3), 8));
                at += 3;
            }
            else
            {
                text.Append(field[at]);
            }
        }

        return text.ToString();
    }
}
