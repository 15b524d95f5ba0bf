using System.Globalization;

namespace Farspan.Backends.Directories;

/// <summary>
/// Where things lie in a chunk directory: chunk 0x1234 in <c>1/1234</c>, 4096 chunks a directory, in lower-case hexadecimal; a chunk that is
/// being created has <c>.new</c> after its name; beside the directories the description and the lock.
/// </summary>
internal sealed class ChunkNames(string root)
{
    public const int GroupShift = 12;
    private const string New = ".new";

    /// <summary>The directory as a whole.</summary>
    public string Root => root;

    /// <summary>Length and chunk length, see <see cref="ChunkDirectoryDescription"/>.</summary>
    public string Description => Path.Combine(root, "farspan-directory");

    /// <summary>Held open by who uses the directory.</summary>
    public string Lock => Path.Combine(root, "farspan-lock");

    /// <summary>The name under which a file is made before it is given its own.</summary>
    public static string Unfinished(string path) => path + New;

    /// <summary>Whether a file was left unfinished.</summary>
    public static bool IsUnfinished(string path) => path.EndsWith(New, StringComparison.Ordinal);

    /// <summary>The directory of a group.</summary>
    public string Group(long group) => Path.Combine(root, group.ToString("x", CultureInfo.InvariantCulture));

    /// <summary>The file of a chunk.</summary>
    public string Chunk(long index) => Path.Combine(Group(index >> GroupShift), index.ToString("x", CultureInfo.InvariantCulture));

    /// <summary>The number that a name stands for; false for a name that is not one of ours.</summary>
    public static bool TryParse(string path, out long number)
    {
        var name = Path.GetFileName(path.AsSpan());
        return long.TryParse(name, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number)
            && number >= 0 && name.SequenceEqual(number.ToString("x", CultureInfo.InvariantCulture));
    }
}
