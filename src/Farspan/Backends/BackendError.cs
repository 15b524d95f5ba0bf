namespace Farspan.Backends;

/// <summary>Why a backend failed, in terms that every protocol and errno can carry.</summary>
public enum BackendError
{
    /// <summary>An I/O error (EIO).</summary>
    InputOutput,

    /// <summary>No space is left (ENOSPC).</summary>
    NoSpace,

    /// <summary>The backend is read-only (EPERM in NBD, EROFS in FUSE).</summary>
    ReadOnly,

    /// <summary>Access was refused (EPERM).</summary>
    AccessDenied,

    /// <summary>No memory is left (ENOMEM).</summary>
    NoMemory,

    /// <summary>The store does not offer this operation now (ENOTSUP).</summary>
    NotSupported,

    /// <summary>The store found the request invalid: alignment, size, unknown flag (EINVAL).</summary>
    Invalid,

    /// <summary>No answer within the time-out (EIO, transient).</summary>
    TimedOut,

    /// <summary>The connection to the store is lost or cannot be made (EIO, transient).</summary>
    Disconnected,

    /// <summary>The store is shutting down (ESHUTDOWN).</summary>
    ShuttingDown,

    /// <summary>What is stored fails its checksum (EIO).</summary>
    Corrupt,

    /// <summary>The peer broke its protocol (EIO).</summary>
    Protocol,

    /// <summary>What was asked for does not exist (ENOENT).</summary>
    NotFound,

    /// <summary>Another writer holds the exclusive lease (EBUSY).</summary>
    Leased,

    /// <summary>The writer's lease was lost to a newer one: what it writes is refused (ESTALE).</summary>
    Fenced,
}
