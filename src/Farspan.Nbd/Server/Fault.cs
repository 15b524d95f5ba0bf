using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>Why a request failed: the number that goes over the wire, and a line for people.</summary>
internal readonly record struct Fault(NbdErrno Error, string Message)
{
    /// <summary>The one table from what backends throw to the protocol's errors. What only a defect can throw tells the client nothing more.</summary>
    /// <param name="error">What was thrown.</param>
    /// <param name="cancelled">Whether we have cancelled the request: a store that gives up by itself has merely failed.</param>
    public static Fault From(Exception error, bool cancelled) => error switch
    {
        BackendException backend => new(ToErrno(backend.Error), backend.Message),
        OperationCanceledException when cancelled => new(NbdErrno.Shutdown, "the request was cancelled"),
        ObjectDisposedException => new(NbdErrno.Shutdown, "the export is closed"),
        ArgumentOutOfRangeException => new(NbdErrno.Inval, "the backend refuses the range"),
        OutOfMemoryException => new(NbdErrno.NoMem, "no memory is left"),
        _ => new(NbdErrno.Io, "the backend failed"),
    };

    /// <summary>Whether the exception is one that a backend is not meant to throw, so that it belongs in the log whole.</summary>
    public static bool IsUnexpected(Exception error)
        => error is not (BackendException or OperationCanceledException or ObjectDisposedException or OutOfMemoryException);

    public static NbdErrno ToErrno(BackendError error) => error switch
    {
        BackendError.NoSpace => NbdErrno.NoSpc,
        BackendError.ReadOnly or BackendError.AccessDenied => NbdErrno.Perm,
        BackendError.NoMemory => NbdErrno.NoMem,
        BackendError.NotSupported => NbdErrno.NotSup,
        BackendError.Invalid => NbdErrno.Inval,
        BackendError.ShuttingDown => NbdErrno.Shutdown,
        _ => NbdErrno.Io,
    };
}
