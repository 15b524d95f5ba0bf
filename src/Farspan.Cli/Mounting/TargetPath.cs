using Farspan.Backends;

namespace Farspan.Cli.Mounting;

/// <summary>One name for each TARGET, however it is written.</summary>
internal static class TargetPath
{
    /// <summary>As <see cref="Resolve"/>; and where it is the URI of a mount without a file, that URI however it is written.</summary>
    /// <exception cref="FormatException">It names nothing that this program can name.</exception>
    public static string ResolveMount(string target)
        => target.Contains("://", StringComparison.Ordinal) ? BackendUri.Parse(target).Identity : Resolve(target);

    /// <summary>The absolute path without symbolic links, as the kernel's mount table has it. What does not exist stands for itself.</summary>
    /// <exception cref="FormatException">It names nothing that this program can name.</exception>
    public static string Resolve(string target)
    {
        if (target.Length == 0)
            throw new FormatException("TARGET is empty; give a path");
        // The runtime has put this character where bytes were no UTF-8, so the name that was meant is lost.
        if (target.Contains('\uFFFD', StringComparison.Ordinal))
            throw new FormatException($"'{target}' is no name in UTF-8; give one that is");
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
