using Microsoft.Extensions.Logging;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>What an agent logs.</summary>
internal static partial class LogMessages
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Client {Number} (process {ProcessId}, user {UserId}) connected.")]
    public static partial void LogConnected(this ILogger logger, long number, int processId, uint userId);

    [LoggerMessage(Level = LogLevel.Information, Message = "Client {Number} was sent away: {Reason}")]
    public static partial void LogSentAway(this ILogger logger, long number, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{LostBytes} bytes that client {Number} wrote are lost: {Reason}")]
    public static partial void LogLost(this ILogger logger, long number, long lostBytes, string? reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "A call of the backend for a region of {Length} bytes has not ended, and was left behind.")]
    public static partial void LogStuck(this ILogger logger, long length);

    [LoggerMessage(Level = LogLevel.Error, Message = "A connection could not be accepted; the agent goes on.")]
    public static partial void LogAcceptFailed(this ILogger logger, Exception error);
}
