namespace Farspan.Cli.Demo;

/// <summary>The data that the demo works on, and what it asks of them. A location is a path or a backend's URI, as <see cref="UsesUri"/> says.</summary>
internal interface IDemoData
{
    /// <summary>What the data are, for people.</summary>
    string Description { get; }

    /// <summary>The name of their file.</summary>
    string FileName { get; }

    /// <summary>Whether locations are URIs of backends; otherwise they are paths that any program can open.</summary>
    bool UsesUri { get; }

    /// <summary>How many rows there are after <see cref="CreateAsync"/>.</summary>
    long RowCount { get; }

    /// <summary>Makes the file, of about <paramref name="length"/> bytes.</summary>
    Task CreateAsync(string path, long length, CancellationToken cancellationToken);

    /// <summary>Finds rows by their serial number, through an index; returns what they hold, a line a row.</summary>
    Task<string> LookUpAsync(string location, IEnumerable<long> serials, CancellationToken cancellationToken);

    /// <summary>Reads a run of neighbouring rows; returns a summary of them.</summary>
    Task<string> SumAsync(string location, long firstRow, int count, CancellationToken cancellationToken);

    /// <summary>Changes what one row holds and makes it durable.</summary>
    Task ChangeAsync(string location, long serial, string text, CancellationToken cancellationToken);

    /// <summary>Checks every byte of the data; returns what the check says.</summary>
    /// <exception cref="CommandException">The data are damaged.</exception>
    Task<string> CheckAsync(string location, CancellationToken cancellationToken);
}
