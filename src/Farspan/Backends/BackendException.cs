namespace Farspan.Backends;

/// <summary>A backend failed. Misuse (ranges, nulls, use after dispose) throws the BCL's own exceptions instead.</summary>
public class BackendException : IOException
{
    /// <summary>Creates the exception; <paramref name="isTransient"/> defaults to what <paramref name="error"/> usually is.</summary>
    public BackendException(BackendError error, string message, Exception? innerException = null, bool? isTransient = null)
        : base(message, innerException)
    {
        Error = error;
        IsTransient = isTransient ?? error is BackendError.TimedOut or BackendError.Disconnected;
    }

    /// <summary>Why.</summary>
    public BackendError Error { get; }

    /// <summary>Whether the same call may succeed later without anything else being changed.</summary>
    public bool IsTransient { get; }
}
