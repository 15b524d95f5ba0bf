namespace Farspan.Mounts;

/// <summary>A mount could not be made, or could not be taken down as asked. What the remote reports is a <see cref="Backends.BackendException"/>.</summary>
public sealed class MountException : IOException
{
    /// <summary>Creates the exception.</summary>
    public MountException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
