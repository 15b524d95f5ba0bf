using Microsoft.Extensions.Logging;

namespace Farspan.FuseHost;

/// <summary>A defect to be met by whatever logs.</summary>
internal sealed class ThrowingLogger : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (logLevel == LogLevel.Warning)
            throw new InvalidOperationException("The logger is broken.");
    }
}
