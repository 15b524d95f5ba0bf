namespace Farspan.Cli;

/// <summary>A verb failed; the message is the line that the user reads: what failed, on what; what to do.</summary>
internal sealed class CommandException(string message, Exception? innerException = null, int exitCode = ExitCodes.Failed)
    : Exception(message, innerException)
{
    /// <summary>The program's exit code.</summary>
    public int ExitCode { get; } = exitCode;
}
