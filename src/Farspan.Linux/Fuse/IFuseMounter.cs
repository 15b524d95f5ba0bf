using Farspan.Linux.Interop;
using Farspan.Mounts;

namespace Farspan.Linux.Fuse;

/// <summary>A way to mount and unmount: as root by system calls, as another user by <c>fusermount3</c>. The calls block.</summary>
internal interface IFuseMounter
{
    /// <summary>Whether a socket can be mounted on, or regular files and directories alone.</summary>
    bool MountsOnSockets { get; }

    /// <summary>Mounts, and returns the connection's <c>/dev/fuse</c>.</summary>
    /// <exception cref="MountException">It was refused.</exception>
    SafeDescriptor Mount(MountTarget target, FuseMountOptions options, bool isReadOnly);

    /// <summary>Unmounts; false when the mount is in use, which a lazy unmount never is.</summary>
    /// <exception cref="MountException">It was refused for another reason.</exception>
    bool TryUnmount(string path, bool isLazy);
}
