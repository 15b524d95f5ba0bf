namespace Farspan.Cli;

/// <summary>What the program's exit code says.</summary>
internal static class ExitCodes
{
    /// <summary>What was asked for is done.</summary>
    public const int Done = 0;

    /// <summary>It failed; one line on standard error says why.</summary>
    public const int Failed = 1;

    /// <summary>The command line is wrong; one line on standard error says how.</summary>
    public const int Usage = 2;
}
