namespace Farspan.Cli.Mounting;

/// <summary>One name for each TARGET, however it is written.</summary>
internal static class TargetPath
{
    /// <summary>The absolute path without symbolic links, as the kernel's mount table has it. What does not exist stands for itself.</summary>
    public static string Resolve(string target)
    {
        string resolved = "/";
        foreach (string part in Path.GetFullPath(target).Split('/', StringSplitOptions.RemoveEmptyEntries))
            resolved = FollowLink(Path.Combine(resolved, part));
        return resolved;
    }

    private static string FollowLink(string path)
    {
        try
        {
            return File.ResolveLinkTarget(path, returnFinalTarget: true) is { } final ? Resolve(final.FullName) : path;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Absent, unreadable, or a mount whose process has died.
            return path;
        }
    }
}
