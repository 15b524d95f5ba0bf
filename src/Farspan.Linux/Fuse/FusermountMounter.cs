using Farspan.Linux.Interop;
using Farspan.Mounts;

namespace Farspan.Linux.Fuse;

/// <summary>
/// Mounts by the set-user-id program <c>fusermount3</c>, as any user. It opens the device, mounts it on a path that the user owns, and passes
/// the descriptor back through the socket whose number stands in <c>_FUSE_COMMFD</c>.
/// </summary>
internal sealed unsafe class FusermountMounter : IFuseMounter
{
    private const string Program = "fusermount3";
    private const int SocketNumber = 3;

    public bool MountsOnSockets => false;

    public SafeDescriptor Mount(MountTarget target, FuseMountOptions options, bool isReadOnly)
    {
        int* pair = stackalloc int[2];
        if (Libc.SocketPair(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0, pair) != 0)
            throw LinuxError.Exception(LinuxError.Last, "creating a socket pair");
        using var ours = new SafeDescriptor(pair[0]);
        var theirs = new SafeDescriptor(pair[1]);
        int processId;
        SafeDescriptor error;
        try
        {
            string mountOptions = $"{(isReadOnly ? "ro" : "rw")},nosuid,nodev,default_permissions,fsname={options.Source},subtype=farspan,"
                + $"max_read={options.LongestRead}{(options.AllowOther ? ",allow_other" : "")}";
            processId = ChildProcess.Start(
                Program, ["-o", mountOptions, "--", target.Path], theirs, SocketNumber, Variables($"_FUSE_COMMFD={SocketNumber}"), out error);
        }
        finally
        {
            // With our copy closed, the program's end is seen as the end of the stream.
            theirs.Dispose();
        }

        var device = ReceiveDescriptor(ours.Number);
        var (exitCode, said) = ChildProcess.Finish(processId, error);
        if (!device.IsInvalid)
            return device;
        throw new MountException(
            said.Length > 0 ? $"Cannot mount at {target.Path}: {said}" : $"Cannot mount at {target.Path}: {Program} ended with exit code {exitCode}.");
    }

    public bool TryUnmount(string path, bool isLazy)
    {
        string[] arguments = isLazy ? ["-u", "-z", "--", path] : ["-u", "--", path];
        int processId = ChildProcess.Start(Program, arguments, inherited: null, 0, Variables(), out var error);
        var (exitCode, said) = ChildProcess.Finish(processId, error);
        if (exitCode == 0 || MountInfo.Find(path) is null)
            return true;
        return said.Contains("busy", StringComparison.OrdinalIgnoreCase) ? false : throw new MountException($"Cannot unmount {path}: {said}");
    }

    // The texts are to be in English: one of them is looked at.
    private static string[] Variables(params string[] more) => ["LC_ALL=C", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", .. more];

    private static SafeDescriptor ReceiveDescriptor(int socket)
    {
        byte data;
        var vector = new IoVector { Start = &data, Length = 1 };
        const int controlLength = 64;
        byte* control = stackalloc byte[controlLength];
        var message = new MessageHeader { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = controlLength };
        nint received;
        do
            received = Libc.ReceiveMessage(socket, &message, Libc.MSG_CMSG_CLOEXEC);
        while (received < 0 && LinuxError.Last == Errno.EINTR);
        var header = (ControlHeader*)control;
        bool isDescriptor = received > 0 && message.ControlLength >= (nuint)(sizeof(ControlHeader) + sizeof(int))
            && header->Level == Libc.SOL_SOCKET && header->Type == Libc.SCM_RIGHTS && header->Length == (nuint)(sizeof(ControlHeader) + sizeof(int));
        return isDescriptor ? new SafeDescriptor(*(int*)(header + 1)) : new SafeDescriptor();
    }
}
