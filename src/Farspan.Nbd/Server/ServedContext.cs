using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>
/// A metadata context of an export: allocation, or a map of states that the backend tells. Sets of contexts are masks with a bit for each
/// <see cref="Index"/>.
/// </summary>
internal sealed class ServedContext
{
    private ServedContext(int index, string name, string? mapName)
    {
        Index = index;
        NameBytes = Encoding.UTF8.GetBytes(name);
        MapName = mapName;
    }

    public int Index { get; }

    /// <summary>The id on the wire; the same for each client.</summary>
    public uint Id => (uint)Index + 1;

    public ulong Bit => 1UL << Index;

    public byte[] NameBytes { get; }

    /// <summary>The map's name; null for allocation.</summary>
    public string? MapName { get; }

    /// <summary>The contexts of an export, each at its index.</summary>
    /// <exception cref="ArgumentException">The backend's names are not what they may be.</exception>
    public static ServedContext[] List(IStateMaps? maps)
    {
        var names = maps?.MapNames ?? [];
        if (names.Count > 32 || names.Distinct().Count() != names.Count || !names.All(IsName))
            throw new ArgumentException("The names of a backend's maps are at most 32 different ones of lower-case letters, digits and hyphens.", nameof(maps));
        return
        [
            new ServedContext(0, NbdConstants.BaseAllocation, mapName: null),
            .. names.Select((name, at) => new ServedContext(at + 1, NbdConstants.StateMapPrefix + name, name)),
        ];
    }

    /// <summary>Whether a query names this context, or as a wildcard, such as <c>base:</c>, the namespace that it is in.</summary>
    public bool IsNamedBy(ReadOnlySpan<byte> query, bool wildcard)
        => query.SequenceEqual(NameBytes)
            || (wildcard && query.EndsWith(":"u8) && query.SequenceEqual(NameBytes.AsSpan(0, NameBytes.AsSpan().IndexOf((byte)':') + 1)));

    private static bool IsName(string name)
        => name.Length is >= 1 and <= 64 && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');
}
