using System.Diagnostics;
using System.Globalization;
using Farspan.TestKit.Crashes;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>What one run of the writer has noted, and what became of its host.</summary>
/// <param name="path">Its file.</param>
/// <param name="host">Where it ran.</param>
/// <param name="epoch">Under which ownership.</param>
internal sealed class RecordJournal(string path, int host, long epoch)
{
    private long _departedAt = long.MaxValue;
    private long _counted;
    private long _length;

    public int Host => host;

    /// <summary>What was written and not made durable may be lost.</summary>
    public bool HasCrashed { get; set; }

    /// <summary>How often it was told that all it wrote is durable.</summary>
    public long Acknowledged
    {
        get
        {
            if (!File.Exists(path) || new FileInfo(path).Length is var length && length == _length)
                return _counted;
            _length = length;
            return _counted = Lines().LongCount(static line => line[0] == 'f');
        }
    }

    /// <summary>The region has left its host; the first time counts.</summary>
    public void Departs() => _departedAt = Math.Min(_departedAt, Stopwatch.GetTimestamp());

    /// <summary>Adds what it has noted.</summary>
    /// <exception cref="RoundFailedException">It found a page that is not what it must be, or was told that something is durable that it wrote after the region had left.</exception>
    public void Apply(PageBounds[] bounds, Dictionary<long, (int Page, int Host, long Epoch)> writes, bool isMapped)
    {
        var pages = new Dictionary<long, int>();
        var open = new Queue<long>();
        long firstLate = long.MaxValue;
        foreach (string line in Lines())
        {
            string[] words = line.Split(' ');
            switch (words[0])
            {
                case "i" when Value(words[3]) < _departedAt:
                    var (number, page) = (Value(words[1]), (int)Value(words[2]));
                    writes[number] = (page, host, epoch);
                    pages[number] = page;
                    bounds[page] = bounds[page] with { Highest = number, MayBeTorn = isMapped };
                    open.Enqueue(number);
                    break;
                case "w" when !HasCrashed && Value(words[2]) < _departedAt:
                    Require(pages[Value(words[1])], Value(words[1]));
                    break;
                case "w" when !pages.ContainsKey(Value(words[1])):
                    firstLate = Math.Min(firstLate, Value(words[1]));
                    break;
                case "f" when Value(words[1]) >= firstLate:
                    throw new RoundFailedException($"host {host} was told that write {firstLate} is durable, which it made after the region had left it");
                case "f":
                    while (open.TryPeek(out long durable) && durable <= Value(words[1]))
                        Require(pages[open.Dequeue()], durable);
                    break;
                case "b":
                    throw new RoundFailedException($"the writer at host {host}, epoch {epoch}, found: {line[2..]}");
            }
        }

        void Require(int page, long number)
        {
            if (number > bounds[page].Lowest)
                bounds[page] = bounds[page] with { Lowest = number, MayBeTorn = bounds[page].MayBeTorn && bounds[page].Highest > number };
        }
    }

    private static long Value(string word) => long.Parse(word, CultureInfo.InvariantCulture);

    private string[] Lines() => RoundLoad.LinesOf(path);
}
