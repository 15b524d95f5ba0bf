using System.Globalization;
using Farspan.Linux.Interop;
using Farspan.Mounts;
using Microsoft.Extensions.Logging;

namespace Farspan.Linux.Fuse;

/// <summary>
/// A mount that was made here, known by its numbers and not by its path alone: what others mount over it, or in its place, is never unmounted
/// for it, and it is found again where a directory above it was renamed.
/// </summary>
/// <remarks>The numbers in mountinfo go to the next mount as soon as they are free, so they prove nothing without the kernel's unique one.</remarks>
internal sealed class OwnMount
{
    private readonly IFuseMounter _mounter;
    private readonly MountInfo? _info;
    private readonly ulong? _uniqueId;

    private OwnMount(IFuseMounter mounter, string path, MountInfo? info)
    {
        _mounter = mounter;
        _info = info;
        _uniqueId = UniqueId(path);
        Path = path;
    }

    /// <summary>Where it is mounted, or was when it was last seen.</summary>
    public string Path { get; private set; }

    /// <summary>The file system's device, as <c>major:minor</c>; null where it is not known.</summary>
    public string? Device => _info?.Device;

    /// <summary>Whether it is still mounted.</summary>
    public bool IsThere => (_info is null ? MountInfo.Find(Path) : Look(MountInfo.ReadAll())) is not null;

    /// <summary>Finds the mount that was just made at a path, by its connection where the kernel tells that, else as the uppermost there.</summary>
    public static OwnMount Find(IFuseMounter mounter, string path, SafeDescriptor? device)
    {
        var mounts = MountInfo.ReadAll();
        string? number = device is null ? null : Connection(device);
        return new OwnMount(
            mounter, path, number is null ? MountInfo.Uppermost(mounts, path) : mounts.FindLast(m => m.MountPoint == path && m.Device == number));
    }

    /// <summary>Sets how far the kernel reads ahead.</summary>
    public void SetReadAhead(long length, ILogger logger)
    {
        if (_info is not null)
            ReadAhead.Set(_info.Device, length, logger);
    }

    /// <summary>Unmounts; true also when others were faster, false when it is in use, which a lazy unmount never minds.</summary>
    /// <exception cref="MountException">Something else is mounted over it, or the system refused.</exception>
    public bool TryUnmount(bool isLazy)
    {
        if (_info is null)
            return _mounter.TryUnmount(Path, isLazy);
        var mounts = MountInfo.ReadAll();
        if (Look(mounts) is not { } here)
            return true;
        Path = here.MountPoint;
        var top = MountInfo.Uppermost(mounts, here.MountPoint);
        // The kernel unmounts by path only: a mount that comes between the look and the call is taken for ours.
        return top is null || top.Id == here.Id
            ? _mounter.TryUnmount(here.MountPoint, isLazy)
            : throw new MountException($"Cannot unmount {Path}: {top.FileSystem} ({top.Source}) is mounted over it; unmount that first.");
    }

    private MountInfo? Look(List<MountInfo> mounts)
    {
        if (mounts.Find(m => m.Id == _info!.Id && m.Device == _info.Device) is not { } found)
            return null;
        // A path leads to what is uppermost there; what is covered can only have stayed where it was.
        bool isUppermost = MountInfo.Uppermost(mounts, found.MountPoint)?.Id == found.Id;
        bool isOurs = _uniqueId is null || !isUppermost ? found.MountPoint == Path : UniqueId(found.MountPoint) == _uniqueId;
        return isOurs ? found : null;
    }

    private static ulong? UniqueId(string path)
    {
        int flags = Libc.AT_SYMLINK_NOFOLLOW | Libc.AT_STATX_DONT_SYNC;
        return Libc.StatX(Libc.AT_FDCWD, path, flags, Libc.STATX_MNT_ID_UNIQUE, out var status) == 0 && (status.Mask & Libc.STATX_MNT_ID_UNIQUE) != 0
            ? status.MountId
            : null;
    }

    // Linux 6.16 and newer name it; its file system's device has the same number.
    private static string? Connection(SafeDescriptor device)
    {
        const string key = "fuse_connection:";
        try
        {
            return File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fdinfo/{device.Number}"))
                .FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal)) is { } line ? $"0:{line[key.Length..].Trim()}" : null;
        }
        catch (IOException)
        {
            return null;
        }
    }
}
