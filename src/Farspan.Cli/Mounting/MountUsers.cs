using System.Globalization;

namespace Farspan.Cli.Mounting;

/// <summary>Finds out who keeps a mounted file busy.</summary>
internal static class MountUsers
{
    private const int Most = 8;

    /// <summary>Processes that hold the file open or mapped, as <c>sqlite3 (pid 4711)</c>, and loop devices on it; at most a handful.</summary>
    public static IReadOnlyList<string> Find(string path)
    {
        var users = new List<string>();
        foreach (string device in Entries("/sys/block", "loop*"))
        {
            if (Text(System.IO.Path.Combine(device, "loop/backing_file")) == path)
                users.Add($"/dev/{System.IO.Path.GetFileName(device)}");
        }

        foreach (string process in Entries("/proc", "*"))
        {
            if (users.Count >= Most)
                break;
            if (int.TryParse(System.IO.Path.GetFileName(process), CultureInfo.InvariantCulture, out int id) && Uses(process, path))
                users.Add($"{Text(System.IO.Path.Combine(process, "comm"))} (pid {id})");
        }

        return users;
    }

    private static bool Uses(string process, string path)
        => Entries(System.IO.Path.Combine(process, "fd"), "*").Concat(Entries(System.IO.Path.Combine(process, "map_files"), "*"))
            .Any(link => LinkTarget(link) == path);

    private static string[] Entries(string directory, string pattern)
    {
        try
        {
            return Directory.GetFileSystemEntries(directory, pattern);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static string? LinkTarget(string link)
    {
        try
        {
            return new FileInfo(link).LinkTarget;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string? Text(string file)
    {
        try
        {
            return File.ReadAllText(file).Trim();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
