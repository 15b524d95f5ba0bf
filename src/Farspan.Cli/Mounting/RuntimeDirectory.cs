using Farspan.Linux.Processes;

namespace Farspan.Cli.Mounting;

/// <summary>Where running mounts leave word of themselves: a directory that only this user can enter and that a restart empties.</summary>
internal static class RuntimeDirectory
{
    /// <summary>
    /// The directory's path: <c>FARSPAN_RUNTIME_DIR</c>, or <c>/run/farspan</c> for root, or <c>farspan</c> in <c>XDG_RUNTIME_DIR</c>, or
    /// <c>farspan-UID</c> among the temporary files.
    /// </summary>
    public static string Path
    {
        get
        {
            if (Environment.GetEnvironmentVariable("FARSPAN_RUNTIME_DIR") is { Length: > 0 } told)
                return System.IO.Path.GetFullPath(told);
            if (Environment.IsPrivilegedProcess)
                return "/run/farspan";
            if (Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } session && Directory.Exists(session))
                return System.IO.Path.Combine(session, "farspan");
            return System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"farspan-{CurrentUser.Id}");
        }
    }

    /// <summary>Makes the directory, or makes sure that it is this user's alone, and returns its path.</summary>
    /// <exception cref="IOException">It cannot be made, or it is another user's.</exception>
    public static string Create() => Trusted(PrivateDirectory.Create);

    /// <summary>The directory's path; null where there is none, and so no mount of this user.</summary>
    /// <exception cref="IOException">It may hold what another user has put there.</exception>
    public static string? Find()
    {
        bool isThere = false;
        string path = Trusted(path => isThere = PrivateDirectory.Exists(path));
        return isThere ? path : null;
    }

    private static string Trusted(Action<string> check)
    {
        string path = Path;
        try
        {
            check(path);
            return path;
        }
        catch (IOException error)
        {
            throw new IOException($"The directory where mounts are noted: {error.Message.TrimEnd('.')}; remove it, or set FARSPAN_RUNTIME_DIR.", error);
        }
    }
}
