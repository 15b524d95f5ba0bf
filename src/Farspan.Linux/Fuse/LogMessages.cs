using Microsoft.Extensions.Logging;

namespace Farspan.Linux.Fuse;

/// <summary>What is logged about mounts beside failed requests.</summary>
internal static partial class LogMessages
{
    [LoggerMessage(Level = LogLevel.Critical, Message = "A thread that serves the mount failed; the mount ends")]
    public static partial void ReaderFailed(ILogger logger, Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "The FUSE connection could not be ended: {Reason}")]
    public static partial void NotAborted(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Could not set read-ahead to {Length} bytes: {Reason}")]
    public static partial void ReadAheadNotSet(ILogger logger, long length, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Removed what a dead mount had left at {Path}")]
    public static partial void StaleMountRemoved(ILogger logger, string path);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Path} has no server any more, and could not be taken down: {Reason}")]
    public static partial void NotCleanedUp(ILogger logger, string path, string reason);
}
