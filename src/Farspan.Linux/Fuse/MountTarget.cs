using Farspan.Linux.Interop;
using Farspan.Mounts;
using Microsoft.Extensions.Logging;

namespace Farspan.Linux.Fuse;

/// <summary>
/// The place where a file system is mounted: a directory, a regular file, or an absent path, for which an empty file
/// is made, and removed again at the end. Nobody may read it; its owner may write it, without which fusermount3 would not mount on it.
/// </summary>
internal sealed class MountTarget
{
    private const UnixFileMode PlaceholderMode = UnixFileMode.UserWrite;

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
        return Kind(path) switch
        {
            Libc.S_IFDIR => new MountTarget(path, isDirectory: true, hasPlaceholder: false),
            Libc.S_IFREG => new MountTarget(path, isDirectory: false, hasPlaceholder: IsPlaceholder(path)),
            null => MakePlaceholder(path),
            _ => throw new MountException($"Cannot mount at {target}: give a regular file, a directory, or a path where nothing is."),
        };
    }

    /// <summary>Removes the placeholder, if it is still one. Nothing is mounted there any more.</summary>
    public void Release()
    {
        if (!HasPlaceholder)
            return;
        try
        {
            if (MountInfo.Find(Path) is null && IsPlaceholder(Path))
                File.Delete(Path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new MountException($"The empty file {Path} that was made to mount on could not be removed: {error.Message}", error);
        }
    }

    private static MountTarget MakePlaceholder(string path)
    {
        using var placeholder = new SafeDescriptor(
            Libc.Open(path, Libc.O_RDONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC, (uint)PlaceholderMode));
        return placeholder.IsInvalid
            ? throw new MountException($"Cannot mount at {path}: {LinuxError.Exception(LinuxError.Last, "creating an empty file there").Message}")
            : new MountTarget(path, isDirectory: false, hasPlaceholder: true);
    }

    private static int? Kind(string path)
    {
        int flags = Libc.AT_SYMLINK_NOFOLLOW | Libc.AT_STATX_DONT_SYNC;
        if (Libc.StatX(Libc.AT_FDCWD, path, flags, Libc.STATX_BASIC_STATS, out var status) == 0)
            return status.Mode & Libc.S_IFMT;
        return LinuxError.Last is Errno.ENOENT ? null : throw new MountException($"Cannot mount at {path}: {LinuxError.Exception(LinuxError.Last, "looking at it").Message}");
    }

    // A dead server leaves its placeholder behind; by its shape the next mount knows it for one, and removes it too.
    private static bool IsPlaceholder(string path)
    {
        var file = new FileInfo(path);
        return file is { Exists: true, Length: 0 } && file.LinkTarget is null && file.UnixFileMode == PlaceholderMode;
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
