namespace Farspan.Cli.Demo;

/// <summary>Something that runs SQL on a SQLite database.</summary>
internal interface ISqlite
{
    /// <summary>What it is, with its version.</summary>
    string Description { get; }

    /// <summary>Runs statements; returns the rows, a line each, with <c>|</c> between columns.</summary>
    /// <exception cref="CommandException">A statement failed.</exception>
    Task<string> RunAsync(string database, string sql, CancellationToken cancellationToken);
}
