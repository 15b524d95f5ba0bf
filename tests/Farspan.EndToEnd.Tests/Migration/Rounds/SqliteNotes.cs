namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>What one run of transfers has noted, and what became of its host.</summary>
/// <param name="at">The notes' path, without their extension.</param>
/// <param name="host">Where it ran.</param>
/// <param name="expected">What the check at its start must find.</param>
internal sealed class SqliteNotes(string at, string host, string expected)
{
    private int _departedAt = int.MaxValue;

    public string Host => host;

    /// <summary>Reads may have failed: its host was killed, or has let the region go.</summary>
    public bool IsCut { get; set; }

    /// <summary>The numbers of the transfers that were committed until the region left.</summary>
    public IEnumerable<string> Committed => Noted.Take(_departedAt);

    private IEnumerable<string> Noted
        => RoundLoad.LinesOf(at + ".notes").Where(static line => line.StartsWith("committed ", StringComparison.Ordinal)).Select(static line => line["committed ".Length..]);

    /// <summary>The region has left its host; the first time counts.</summary>
    public void Departs()
    {
        _departedAt = Math.Min(_departedAt, Committed.Count());
        IsCut = true;
    }

    /// <summary>Looks for what must not be.</summary>
    /// <exception cref="RoundFailedException">The check found something else, could not be made though nothing was lost, or more was committed after the region had left.</exception>
    public void Judge()
    {
        foreach (string line in RoundLoad.LinesOf(at + ".notes"))
        {
            if (line.StartsWith("found ", StringComparison.Ordinal) && line["found ".Length..] != expected)
                throw new RoundFailedException($"the database at {host} is not what was committed; expected '{expected}': {line} ({at})");
            if (line == "error" && !IsCut)
                throw new RoundFailedException($"the database at {host} cannot be read: {File.ReadAllText(at + ".check")}");
        }

        // What ends a transaction is that its journal goes, which lies beside the database: the one that was being made when the region left can still be ended.
        if (_departedAt != int.MaxValue && Noted.Count() > _departedAt + 1)
            throw new RoundFailedException($"{Noted.Count() - _departedAt} transfers were committed at {host} after the region had left it ({at})");
    }
}
