namespace Farspan.Linux.Migration;

/// <summary>A program could not be suspended or resumed.</summary>
internal sealed class HookException(string message, Exception? innerException = null) : IOException(message, innerException);
