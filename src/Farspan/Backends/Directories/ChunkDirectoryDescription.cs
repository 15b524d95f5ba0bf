using System.Globalization;
using System.Text;

namespace Farspan.Backends.Directories;

/// <summary>What a chunk directory was made with, as the three lines <c>farspan-directory 1</c>, <c>length N</c>, <c>chunk N</c>.</summary>
internal sealed record ChunkDirectoryDescription(long Length, int ChunkLength)
{
    private const string Magic = "farspan-directory 1";
    private const int LongestFile = 4096;

    /// <summary>The number of bytes of a chunk: the last one has what is left.</summary>
    public int LengthOf(long index) => (int)Math.Min(ChunkLength, Length - (index * ChunkLength));

    /// <summary>Reads the description; null where there is none.</summary>
    /// <exception cref="BackendException">It is there and cannot be used.</exception>
    public static ChunkDirectoryDescription? Read(string path)
    {
        if (!File.Exists(path))
            return null;
        if (new FileInfo(path).Length > LongestFile)
            throw Unusable(path);
        string[] lines = File.ReadAllText(path).TrimEnd().Split('\n');
        if (lines.Length != 3 || lines[0] != Magic || !TryNumber(lines[1], "length ", out long length) || !TryNumber(lines[2], "chunk ", out long chunk))
            throw Unusable(path);
        if (length < 1 || !DirectoryBackendOptions.IsChunkLength(chunk)
            || DirectoryBackendOptions.ChunkCount(length, chunk) > DirectoryBackendOptions.MaximumChunks)
        {
            throw Unusable(path);
        }

        return new ChunkDirectoryDescription(length, (int)chunk);
    }

    /// <summary>Writes the description; it is there as a whole or not at all.</summary>
    public void Write(string path)
    {
        string unfinished = ChunkNames.Unfinished(path);
        using (var file = File.OpenHandle(unfinished, FileMode.Create, FileAccess.Write))
        {
            string text = string.Create(CultureInfo.InvariantCulture, $"{Magic}\nlength {Length}\nchunk {ChunkLength}\n");
            RandomAccess.Write(file, Encoding.ASCII.GetBytes(text), 0);
            RandomAccess.FlushToDisk(file);
        }

        File.Move(unfinished, path);
    }

    private static bool TryNumber(string line, string key, out long number)
    {
        number = 0;
        return line.StartsWith(key, StringComparison.Ordinal)
            && long.TryParse(line.AsSpan(key.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    private static BackendException Unusable(string path)
        => new(BackendError.Corrupt, $"{path} does not say what the directory holds, as this version knows it; it is damaged or of another version.");
}
