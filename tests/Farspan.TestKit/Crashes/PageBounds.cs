using System.Runtime.InteropServices;

namespace Farspan.TestKit.Crashes;

/// <summary>Which writes a page may be of.</summary>
/// <param name="Lowest">The number of the last write that must not be lost.</param>
/// <param name="Highest">The number of the last write that was begun.</param>
/// <param name="MayBeTorn">Whether a write of it may have been cut in the middle: then anything may be there.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct PageBounds(long Lowest, long Highest, bool MayBeTorn)
{
    /// <summary>What is wrong with a page; null where it is as it must be.</summary>
    public string? Judge(ReadOnlySpan<byte> page, long index)
    {
        if (!NumberedPage.TryRead(page, index, out var found))
            return MayBeTorn ? null : $"page {index} is torn or another's; it must be of a write from {Lowest} to {Highest}";
        bool isThere = found.Number >= Lowest && found.Number <= Highest;
        return isThere ? null : $"page {index} is of write {found.Number} (host {found.Host}, epoch {found.Epoch}); it must be of one from {Lowest} to {Highest}";
    }

    /// <summary>Writes the bounds of all pages to a file.</summary>
    public static void Save(string path, IReadOnlyList<PageBounds> bounds)
    {
        using var writer = new BinaryWriter(File.Create(path));
        foreach (var (lowest, highest, mayBeTorn) in bounds)
        {
            writer.Write(lowest);
            writer.Write(highest);
            writer.Write(mayBeTorn);
        }
    }

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    public static PageBounds[] Load(string path)
    {
        using var reader = new BinaryReader(File.OpenRead(path));
        var bounds = new PageBounds[reader.BaseStream.Length / 17];
        for (int i = 0; i < bounds.Length; i++)
            bounds[i] = new PageBounds(reader.ReadInt64(), reader.ReadInt64(), reader.ReadBoolean());
        return bounds;
    }
}
