using System.Globalization;

namespace Farspan.TestKit.Crashes;

/// <summary>
/// What the slots may hold after a kill, from the journal that the writers kept: a line before each write, one after it was acknowledged, and one
/// after each flush.
/// </summary>
public sealed class SlotTruth
{
    private readonly List<byte[]>[] _versions = new List<byte[]>[SlotPattern.SlotCount];
    private readonly int[] _acknowledged = new int[SlotPattern.SlotCount];
    private readonly int[] _flushed = new int[SlotPattern.SlotCount];

    public SlotTruth()
    {
        for (int slot = 0; slot < SlotPattern.SlotCount; slot++)
            _versions[slot] = [SlotPattern.Bytes(slot, 0)];
    }

    /// <summary>Flushes that were acknowledged.</summary>
    public int FlushCount { get; private set; }

    /// <summary>Takes in what the writers of one life wrote down.</summary>
    public void Add(IEnumerable<string> lines)
    {
        foreach (string line in lines)
        {
            string[] words = line.Split(' ');
            int number = int.Parse(words[1], CultureInfo.InvariantCulture);
            switch (words[0])
            {
                case "begin":
                    _versions[number].Add(SlotPattern.Bytes(number, int.Parse(words[2], CultureInfo.InvariantCulture)));
                    break;
                case "end":
                    _acknowledged[number] = _versions[number].Count - 1;
                    break;
                case "flushed":
                    FlushCount++;
                    for (int slot = number; slot < SlotPattern.SlotCount; slot += SlotPattern.WriterCount)
                        _flushed[slot] = _acknowledged[slot];
                    break;
                default:
                    throw new InvalidOperationException($"Unknown line '{line}'.");
            }
        }
    }

    /// <summary>Judges what the mount shows after a kill: nothing acknowledged is lost.</summary>
    public void CheckMount(ReadOnlySpan<byte> actual) => Check("the mount", actual, _acknowledged);

    /// <summary>Judges what the remote holds: nothing flushed there is lost.</summary>
    public void CheckRemote(ReadOnlySpan<byte> actual) => Check("the remote", actual, _flushed);

    /// <summary>Judges what memory shows after a kill, which loses what was not flushed.</summary>
    public void CheckFlushed(ReadOnlySpan<byte> actual) => Check("the memory", actual, _flushed);

    /// <summary>The memory was lost, and with it what was acknowledged and not flushed: no later flush is about it.</summary>
    public void ForgetUnflushed() => _flushed.CopyTo(_acknowledged, 0);

    /// <summary>Takes what is there as the truth.</summary>
    public void Take(ReadOnlySpan<byte> actual)
    {
        for (int slot = 0; slot < SlotPattern.SlotCount; slot++)
        {
            _versions[slot] = [actual.Slice(slot * SlotPattern.SlotLength, SlotPattern.SlotLength).ToArray()];
            _acknowledged[slot] = _flushed[slot] = 0;
        }
    }

    private void Check(string what, ReadOnlySpan<byte> actual, int[] from)
    {
        for (int slot = 0; slot < SlotPattern.SlotCount; slot++)
        {
            var bytes = actual.Slice(slot * SlotPattern.SlotLength, SlotPattern.SlotLength);
            if (bytes.SequenceEqual(_versions[slot][^1]))
                continue;
            for (int at = 0; at < bytes.Length; at++)
            {
                byte value = bytes[at];
                int place = at;
                if (!_versions[slot].Skip(from[slot]).Any(version => version[place] == value))
                    throw new InvalidOperationException($"Byte {at} of slot {slot} of {what} is {value:X2}: none of the {_versions[slot].Count - from[slot]} versions from {from[slot]} on.");
            }
        }
    }
}
