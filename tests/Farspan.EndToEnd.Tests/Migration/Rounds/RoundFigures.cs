using System.Globalization;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>Counts what happened in rounds.</summary>
internal sealed class RoundFigures
{
    private readonly SortedDictionary<string, long> _counts = new(StringComparer.Ordinal);

    public void Count(string what, long more = 1)
    {
        lock (_counts)
            _counts[what] = _counts.GetValueOrDefault(what) + more;
    }

    public override string ToString()
    {
        lock (_counts)
            return string.Join(", ", _counts.Select(static pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key} {pair.Value}")));
    }
}
