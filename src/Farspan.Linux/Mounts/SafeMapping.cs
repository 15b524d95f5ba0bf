using System.Runtime.InteropServices;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Mounts;

/// <summary>A shared mapping of a whole file; unmapped when disposed and no longer in use by any call.</summary>
internal sealed unsafe class SafeMapping : SafeHandle
{
    private readonly nuint _length;
    private readonly bool _isReadOnly;

    private SafeMapping(nint start, nuint length, bool isReadOnly)
        : base(invalidHandleValue: -1, ownsHandle: true)
    {
        SetHandle(start);
        _length = length;
        _isReadOnly = isReadOnly;
    }

    public override bool IsInvalid => handle == -1;

    public byte* Start => (byte*)handle;

    public static SafeMapping Create(SafeDescriptor file, string path, long length, bool isReadOnly)
    {
        nint start = Libc.Map(0, (nuint)length, isReadOnly ? Libc.PROT_READ : Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, file, 0);
        if (start == -1)
            throw LinuxError.Exception(LinuxError.Last, $"mapping {length} bytes of {path}");
        return new SafeMapping(start, (nuint)length, isReadOnly);
    }

    /// <summary>Brings pages here; where that fails it throws, while touching them would end the process.</summary>
    public void Populate(string path, long offset, long length)
    {
        long start = offset & -Environment.SystemPageSize;
        // Populated for reading: for writing, the kernel would mark every page dirty, and write all of it back.
        Use(
            () =>
            {
                while (Libc.Advise(handle + (nint)start, (nuint)(offset + length - start), Libc.MADV_POPULATE_READ) != 0)
                {
                    var error = LinuxError.Last;
                    // EINVAL: Linux before 5.14 cannot; pages then come when they are touched.
                    if (error == Errno.EINVAL)
                        break;
                    if (error is not (Errno.EINTR or Errno.EAGAIN))
                        return error;
                }

                return Errno.Ok;
            },
            () => $"bringing {length} bytes at {offset} of {path}");
    }

    /// <summary>Writes back every page that was changed through the mapping.</summary>
    public void Sync(string path)
    {
        if (_isReadOnly)
            return;
        Use(
            () =>
            {
                while (Libc.SyncMapping(handle, _length, Libc.MS_SYNC) != 0)
                {
                    if (LinuxError.Last != Errno.EINTR)
                        return LinuxError.Last;
                }

                return Errno.Ok;
            },
            () => $"flushing the mapping of {path}");
    }

    protected override bool ReleaseHandle() => Libc.Unmap(handle, _length) == 0;

    private void Use(Func<Errno> call, Func<string> describe)
    {
        bool isHeld = false;
        try
        {
            DangerousAddRef(ref isHeld);
            var error = call();
            if (error != Errno.Ok)
                throw LinuxError.Exception(error is Errno.EFAULT or Errno.EHWPOISON ? Errno.EIO : error, describe());
        }
        finally
        {
            if (isHeld)
                DangerousRelease();
        }
    }
}
