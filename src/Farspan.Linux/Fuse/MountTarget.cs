using Farspan.Linux.Interop;
using Farspan.Mounts;
using Microsoft.Extensions.Logging;

namespace Farspan.Linux.Fuse;

/// <summary>
/// The place where a file system is mounted: a directory, a regular file, or an absent path, for which a placeholder is made, and removed
/// again at the end.
/// </summary>
/// <remarks>
/// The placeholder is a socket, which nobody can open: who comes just after the mount has ended must not write into a file that is about to
/// vanish. fusermount3 mounts on regular files only; there it is an empty file that its owner alone may write.
/// </remarks>
internal sealed class MountTarget
{
    private const int PlaceholderPermissions = 0x80;

    private MountTarget(string path, bool isDirectory, bool hasPlaceholder)
    {
        Path = path;
        IsDirectory = isDirectory;
        HasPlaceholder = hasPlaceholder;
    }

    /// <summary>The absolute path without symbolic links.</summary>
    public string Path { get; }

    public bool IsDirectory { get; }

    private bool HasPlaceholder { get; }

    /// <summary>Finds out what is there, removes a mount whose server has died, and makes a placeholder where nothing is.</summary>
    /// <exception cref="MountException">The path cannot be mounted on.</exception>
    public static MountTarget Prepare(string target, IFuseMounter mounter, ILogger logger)
    {
        string path = Resolve(target);
        if (StaleMount.TryRemove(path, mounter))
            LogMessages.StaleMountRemoved(logger, path);
        if (Status(path) is not { } status)
            return MakePlaceholder(path, mounter);
        if (IsPlaceholder(status) && Libc.Unlink(path) == 0)
            return MakePlaceholder(path, mounter);
        return (status.Mode & Libc.S_IFMT) switch
        {
            Libc.S_IFDIR => new MountTarget(path, isDirectory: true, hasPlaceholder: false),
            Libc.S_IFREG => new MountTarget(path, isDirectory: false, hasPlaceholder: false),
            _ => throw new MountException($"Cannot mount at {target}: give a regular file, a directory, or a path where nothing is."),
        };
    }

    /// <summary>Removes what a server that was killed has left: its mount, and its placeholder.</summary>
    /// <exception cref="MountException">The system refused.</exception>
    public static void CleanUpAfterDeath(string path, IFuseMounter mounter)
    {
        StaleMount.TryRemove(path, mounter);
        if (MountInfo.Find(path) is null && Status(path) is { } status && IsPlaceholder(status))
            _ = Libc.Unlink(path);
    }

    /// <summary>Removes the placeholder, where the mount was last. Nothing is mounted there any more.</summary>
    /// <exception cref="MountException">It could not be removed, or somebody has written into it.</exception>
    public void Release(string path)
    {
        if (!HasPlaceholder || MountInfo.Find(path) is not null || Status(path) is not { } status)
            return;
        if (!IsPlaceholder(status))
            throw new MountException($"{path} was written to after the mount had ended; what it holds has not reached the remote.");
        if (Libc.Unlink(path) != 0)
            throw new MountException(LinuxError.Exception(LinuxError.Last, $"removing the placeholder {path}").Message);
    }

    private static MountTarget MakePlaceholder(string path, IFuseMounter mounter)
    {
        uint type = mounter.MountsOnSockets ? (uint)Libc.S_IFSOCK : Libc.S_IFREG;
        return Libc.MakeNode(path, type | PlaceholderPermissions, 0) == 0
            ? new MountTarget(path, isDirectory: false, hasPlaceholder: true)
            : throw new MountException($"Cannot mount at {path}: {LinuxError.Exception(LinuxError.Last, "creating a placeholder there").Message}");
    }

    // A dead server leaves its placeholder behind; by its shape the next mount knows it for one, and removes it too.
    private static bool IsPlaceholder(FileStatus status)
        => status.Mode == (Libc.S_IFSOCK | PlaceholderPermissions) || (status.Mode == (Libc.S_IFREG | PlaceholderPermissions) && status.Size == 0);

    private static FileStatus? Status(string path)
    {
        int flags = Libc.AT_SYMLINK_NOFOLLOW | Libc.AT_STATX_DONT_SYNC;
        if (Libc.StatX(Libc.AT_FDCWD, path, flags, Libc.STATX_BASIC_STATS, out var status) == 0)
            return status;
        return LinuxError.Last is Errno.ENOENT ? null : throw new MountException(LinuxError.Exception(LinuxError.Last, $"Cannot mount at {path}").Message);
    }

    private static string Resolve(string target)
    {
        string path = System.IO.Path.GetFullPath(target);
        if (RealPath.TryResolve(path) is { } whole)
            return whole;
        string parent = System.IO.Path.GetDirectoryName(path) ?? "/";
        return RealPath.TryResolve(parent) is { } directory
            ? System.IO.Path.Combine(directory, System.IO.Path.GetFileName(path))
            : throw new MountException($"Cannot mount at {target}: there is no directory {parent}.");
    }
}
