using Farspan.Linux.Interop;

namespace Farspan.Linux.Processes;

/// <summary>
/// A directory whose content this user alone can have put there. Where others may make names, as among the temporary files, one of the right
/// name may be another user's, or a link to anywhere.
/// </summary>
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public static class PrivateDirectory
{
    private const int OthersMayWrite = 0x12;

    /// <summary>Makes the directory for this user alone, or makes sure that an existing one is.</summary>
    /// <exception cref="IOException">It cannot be made, or it is not this user's.</exception>
    public static void Create(string path)
    {
        const UnixFileMode onlyThisUser = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        try
        {
            Directory.CreateDirectory(path, onlyThisUser);
            // Also what others could write into is refused, not closed to them: they may have been there already.
            if (!Exists(path))
                throw new IOException($"{path} was removed while it was made.");
            File.SetUnixFileMode(path, onlyThisUser);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new IOException($"{path} cannot be made: {error.Message}", error);
        }
    }

    /// <summary>Whether it is there.</summary>
    /// <exception cref="IOException">What is there is not this user's, is no directory, or others may write into it.</exception>
    public static bool Exists(string path)
    {
        if (Status(path) is not { } status)
            return false;
        return (status.Mode & OthersMayWrite) == 0 ? true : throw new IOException($"{path} cannot be trusted: other users may write into it.");
    }

    private static FileStatus? Status(string path)
    {
        if (Libc.StatX(Libc.AT_FDCWD, path, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out var status) != 0)
        {
            return LinuxError.Last is Errno.ENOENT or Errno.ENOTDIR
                ? null
                : throw new IOException(LinuxError.Exception(LinuxError.Last, $"looking at {path}").Message);
        }

        if ((status.Mode & Libc.S_IFMT) != Libc.S_IFDIR)
            throw new IOException($"{path} cannot be trusted: it is no directory.");
        return status.OwnerId == Libc.EffectiveUserId() ? status : throw new IOException($"{path} cannot be trusted: it is another user's.");
    }
}
