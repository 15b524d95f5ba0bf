using System.Globalization;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>What one loop of fio runs has noted, and what became of its host.</summary>
/// <param name="path">The notes.</param>
/// <param name="host">Where it ran.</param>
internal sealed class FioNotes(string path, string host)
{
    private int _departedAt = int.MaxValue;

    public string Host => host;

    /// <summary>Reads may have failed: its host was killed, or has let the region go.</summary>
    public bool IsCut { get; set; }

    public IReadOnlyList<string> Lines => RoundLoad.LinesOf(path);

    /// <summary>The region has left its host; the first time counts.</summary>
    public void Departs()
    {
        _departedAt = Math.Min(_departedAt, Lines.Count);
        IsCut = true;
    }

    /// <summary>Adds what it has noted.</summary>
    /// <exception cref="RoundFailedException">fio found other bytes than were written, or a run was begun and ended after the region had left.</exception>
    public void Apply(long?[] zones)
    {
        foreach (var (index, line) in Lines.Index())
        {
            string[] words = line.Split(' ');
            if (words[0] == "bad")
            {
                Judge(words[1]);
                continue;
            }

            long run = words.Length > 1 ? long.Parse(words[1], CultureInfo.InvariantCulture) : 0;
            bool isLate = index >= _departedAt;
            if (words[0] == "begun" && !isLate)
            {
                zones[run % zones.Length] = null;
            }
            else if (words[0] == "done" && index > _departedAt)
            {
                throw new RoundFailedException($"a fio run was begun and acknowledged at {host} after the region had left it ({path})");
            }
            else if (words[0] == "done" && !isLate)
            {
                zones[run % zones.Length] = run;
            }
        }
    }

    private void Judge(string output)
    {
        string said = File.ReadAllText(output);
        if (!IsCut || said.Contains("verify", StringComparison.OrdinalIgnoreCase) || said.Contains("Invalid or incomplete multibyte", StringComparison.Ordinal))
            throw new RoundFailedException($"a fresh fio at {host} does not find what was written:\n{said}");
    }
}
