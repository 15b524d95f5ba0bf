namespace Farspan.Cli;

/// <summary>Finds other programs.</summary>
internal static class Programs
{
    /// <summary>The path of a program on the PATH or among the system's own, or null.</summary>
    public static string? Find(string name)
        => $"{Environment.GetEnvironmentVariable("PATH")}:/usr/local/sbin:/usr/sbin:/sbin".Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(directory => Path.Combine(directory, name)).FirstOrDefault(File.Exists);
}
