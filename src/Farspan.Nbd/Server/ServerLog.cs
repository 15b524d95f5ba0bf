using Farspan.Nbd.Protocol;
using Microsoft.Extensions.Logging;

namespace Farspan.Nbd.Server;

/// <summary>What the server logs.</summary>
internal static partial class ServerLog
{
    [LoggerMessage(1, LogLevel.Debug, "{Peer} connects.")]
    public static partial void Connected(ILogger logger, string peer);

    [LoggerMessage(2, LogLevel.Debug, "{Peer} uses export '{Export}' ({Mode} headers).")]
    public static partial void Transmits(ILogger logger, string peer, string export, HeaderMode mode);

    [LoggerMessage(3, LogLevel.Debug, "{Peer} is gone: {Reason}.")]
    public static partial void Gone(ILogger logger, string peer, string reason);

    [LoggerMessage(4, LogLevel.Warning, "{Peer} is disconnected: {Reason}.")]
    public static partial void Disconnected(ILogger logger, string peer, string reason);

    [LoggerMessage(5, LogLevel.Warning, "Connections were refused, {Refused} of them lately: {Limit} are the limit.")]
    public static partial void TooMany(ILogger logger, long refused, int limit);

    [LoggerMessage(12, LogLevel.Debug, "A connection is refused: the server stops.")]
    public static partial void TooLate(ILogger logger);

    [LoggerMessage(13, LogLevel.Warning, "A connection on {Endpoint} cannot be served: {Message}")]
    public static partial void StartFailed(ILogger logger, Exception error, string endpoint, string message);

    [LoggerMessage(6, LogLevel.Warning, "Accepting a connection on {Endpoint} failed, which is tried again: {Message}")]
    public static partial void AcceptFailed(ILogger logger, string endpoint, string message);

    [LoggerMessage(7, LogLevel.Warning, "{Command} at {Offset} of export '{Export}' for {Peer} failed: {Message}")]
    public static partial void BackendFailed(ILogger logger, NbdCommand command, long offset, string export, string peer, string message);

    [LoggerMessage(8, LogLevel.Error, "{Command} at {Offset} of export '{Export}' for {Peer} failed as no backend should.")]
    public static partial void UnexpectedFailure(ILogger logger, Exception error, NbdCommand command, long offset, string export, string peer);

    [LoggerMessage(9, LogLevel.Error, "The connection of {Peer} ended by a defect of the server.")]
    public static partial void Defect(ILogger logger, Exception error, string peer);

    [LoggerMessage(10, LogLevel.Warning, "Flushing export '{Export}' after {Peer} left failed: {Message}")]
    public static partial void LastFlushFailed(ILogger logger, string export, string peer, string message);

    [LoggerMessage(11, LogLevel.Warning, "{Count} requests of {Peer} were still running when the time for stopping was over.")]
    public static partial void StillRunning(ILogger logger, int count, string peer);
}
