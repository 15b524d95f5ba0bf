using System.Runtime.InteropServices;
using Farspan.Backends;

namespace Farspan.Linux.Interop;

/// <summary>The one table from errno to <see cref="BackendError"/> and to exceptions.</summary>
internal static class LinuxError
{
    /// <summary>The error of the last <c>SetLastError</c> call on this thread; read it next to the call.</summary>
    public static Errno Last => (Errno)Marshal.GetLastPInvokeError();

    /// <summary>What an errno means for a backend.</summary>
    public static BackendError ToBackendError(Errno errno) => errno switch
    {
        Errno.ENOSPC or Errno.EDQUOT or Errno.EFBIG => BackendError.NoSpace,
        Errno.EROFS => BackendError.ReadOnly,
        Errno.EPERM or Errno.EACCES => BackendError.AccessDenied,
        Errno.ENOMEM => BackendError.NoMemory,
        Errno.EOPNOTSUPP or Errno.ENOSYS or Errno.ENOTTY => BackendError.NotSupported,
        Errno.EINVAL => BackendError.Invalid,
        Errno.ENOENT or Errno.ENXIO or Errno.ENODEV => BackendError.NotFound,
        Errno.ETIMEDOUT => BackendError.TimedOut,
        Errno.ESHUTDOWN => BackendError.ShuttingDown,
        _ => BackendError.InputOutput,
    };

    /// <summary>What a backend's failure is as an errno.</summary>
    public static Errno FromBackendError(BackendError error) => error switch
    {
        BackendError.NoSpace => Errno.ENOSPC,
        BackendError.ReadOnly => Errno.EROFS,
        BackendError.AccessDenied => Errno.EPERM,
        BackendError.NoMemory => Errno.ENOMEM,
        BackendError.NotSupported => Errno.EOPNOTSUPP,
        BackendError.Invalid => Errno.EINVAL,
        _ => Errno.EIO,
    };

    /// <summary>The exception for a failed call, such as <c>pwrite of 4096 bytes at 0 on disk.img: No space left on device (ENOSPC)</c>.</summary>
    public static BackendException Exception(Errno errno, string call)
        => new(ToBackendError(errno), $"{call}: {Marshal.GetPInvokeErrorMessage((int)errno)} ({errno}).");
}
