using Farspan.Backends;

namespace Farspan.Wire.Protocol;

/// <summary>Between the wire's numbers and the errors of backends.</summary>
internal static class WireStatusMap
{
    public static WireStatus ToStatus(BackendError error) => error switch
    {
        BackendError.NoSpace => WireStatus.NoSpace,
        BackendError.ReadOnly => WireStatus.ReadOnly,
        BackendError.AccessDenied => WireStatus.AccessDenied,
        BackendError.NoMemory => WireStatus.NoMemory,
        BackendError.NotSupported => WireStatus.NotSupported,
        BackendError.Invalid => WireStatus.Invalid,
        BackendError.TimedOut => WireStatus.TimedOut,
        BackendError.Disconnected => WireStatus.Disconnected,
        BackendError.ShuttingDown => WireStatus.ShuttingDown,
        BackendError.Corrupt => WireStatus.Corrupt,
        BackendError.Protocol => WireStatus.Protocol,
        BackendError.NotFound => WireStatus.NotFound,
        BackendError.Leased => WireStatus.Leased,
        BackendError.Fenced => WireStatus.Fenced,
        _ => WireStatus.InputOutput,
    };

    /// <summary>A status of a newer peer that this one does not know is an input/output error.</summary>
    public static BackendError ToError(WireStatus status) => status switch
    {
        WireStatus.NoSpace => BackendError.NoSpace,
        WireStatus.ReadOnly => BackendError.ReadOnly,
        WireStatus.AccessDenied => BackendError.AccessDenied,
        WireStatus.NoMemory => BackendError.NoMemory,
        WireStatus.NotSupported => BackendError.NotSupported,
        WireStatus.Invalid => BackendError.Invalid,
        WireStatus.TimedOut => BackendError.TimedOut,
        WireStatus.Disconnected => BackendError.Disconnected,
        WireStatus.ShuttingDown => BackendError.ShuttingDown,
        WireStatus.Corrupt => BackendError.Corrupt,
        WireStatus.Protocol => BackendError.Protocol,
        WireStatus.NotFound => BackendError.NotFound,
        WireStatus.Leased => BackendError.Leased,
        WireStatus.Fenced => BackendError.Fenced,
        _ => BackendError.InputOutput,
    };

    /// <summary>What went wrong, as the wire says it. What only a defect can throw tells the peer nothing more.</summary>
    public static (WireStatus Status, string Message) Explain(Exception error) => error switch
    {
        BackendException failure => (ToStatus(failure.Error), failure.Message),
        OperationCanceledException => (WireStatus.ShuttingDown, "the request was cancelled"),
        ObjectDisposedException => (WireStatus.ShuttingDown, "the export is closed"),
        ArgumentException => (WireStatus.Invalid, "the backend refuses the range"),
        OutOfMemoryException => (WireStatus.NoMemory, "no memory is left"),
        _ => (WireStatus.InputOutput, "the backend failed"),
    };
}
