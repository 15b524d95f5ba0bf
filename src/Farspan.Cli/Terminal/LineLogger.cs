using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Terminal;

/// <summary>Writes log messages as lines. Thread-safe.</summary>
internal sealed class LineLogger(TextWriter output, LogLevel least) : ILogger
{
    private readonly Lock _lock = new();

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= least && logLevel != LogLevel.None;

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        string message = formatter(state, exception).ReplaceLineEndings(" ");
        string cause = exception is null ? "" : $" ({exception.GetType().Name}: {exception.Message.ReplaceLineEndings(" ")})";
        lock (_lock)
        {
            output.WriteLine($"farspan: {message}{cause}");
            output.Flush();
        }
    }
}
