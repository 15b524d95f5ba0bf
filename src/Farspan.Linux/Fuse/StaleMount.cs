using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>Mounts whose server has died: every use fails with "Transport endpoint is not connected".</summary>
internal static class StaleMount
{
    /// <summary>Detaches each stale FUSE mount at exactly <paramref name="path"/>; whether there was one.</summary>
    public static bool TryRemove(string path, IFuseMounter mounter)
    {
        bool any = false;
        // More than one dead server may have left a mount, one upon the other.
        for (int i = 0; i < 16 && IsStale(path); i++)
        {
            if (!mounter.TryUnmount(path, isLazy: true))
                break;
            any = true;
        }

        return any;
    }

    /// <summary>Whether a FUSE file system is mounted at <paramref name="path"/> that nobody serves.</summary>
    public static bool IsStale(string path)
    {
        if (MountInfo.Find(path) is not { } info || !info.FileSystem.StartsWith("fuse", StringComparison.Ordinal))
            return false;
        int descriptor = Libc.Open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        if (descriptor < 0)
            return LinuxError.Last == Errno.ENOTCONN;
        _ = Libc.Close(descriptor);
        return false;
    }
}
