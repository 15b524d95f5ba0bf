using Farspan.Linux.Interop;
using Farspan.Mounts;

namespace Farspan.Linux.Fuse;

/// <summary>Mounts by mount(2), which only root may.</summary>
internal sealed class DirectMounter : IFuseMounter
{
    public const string Device = "/dev/fuse";

    public bool MountsOnSockets => true;

    public SafeDescriptor Mount(MountTarget target, FuseMountOptions options, bool isReadOnly)
    {
        var device = new SafeDescriptor(Libc.Open(Device, Libc.O_RDWR | Libc.O_CLOEXEC, 0));
        if (device.IsInvalid)
            throw Refused($"Cannot open {Device}", LinuxError.Last, "Load the fuse module, or make the device available here.");
        uint flags = Libc.MS_NOSUID | Libc.MS_NODEV | (isReadOnly ? Libc.MS_RDONLY : 0);
        // The root's type is octal, as in st_mode.
        string data = $"fd={device.Number},rootmode={(target.IsDirectory ? "40000" : "100000")},user_id={Libc.EffectiveUserId()},"
            + $"group_id={Libc.EffectiveGroupId()},default_permissions,max_read={options.LongestRead}{(options.AllowOther ? ",allow_other" : "")}";
        if (Libc.Mount(options.Source, target.Path, "fuse.farspan", flags, data) == 0)
            return device;
        var errno = LinuxError.Last;
        device.Dispose();
        throw Refused($"Cannot mount at {target.Path}", errno, errno == Errno.EPERM ? "Run as root, or as a user for whom fusermount3 is installed." : "");
    }

    public bool TryUnmount(string path, bool isLazy)
    {
        // It writes back what the kernel keeps.
        var error = ApartThread.Run(() => Libc.Unmount(path, Libc.UMOUNT_NOFOLLOW | (isLazy ? Libc.MNT_DETACH : 0)) == 0 ? Errno.Ok : LinuxError.Last);
        return error switch
        {
            Errno.Ok => true,
            Errno.EBUSY => false,
            // Nothing is mounted there: somebody else was faster.
            Errno.EINVAL or Errno.ENOENT => true,
            var errno => throw Refused($"Cannot unmount {path}", errno, ""),
        };
    }

    private static MountException Refused(string what, Errno errno, string advice)
        => new($"{what}: {System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage((int)errno)} ({errno}). {advice}".TrimEnd());
}
