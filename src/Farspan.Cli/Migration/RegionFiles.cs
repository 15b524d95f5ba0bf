using System.Globalization;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Linux;
using Farspan.Migration;
using Farspan.Mounts;
using Farspan.Mounts.Caching;

namespace Farspan.Cli.Migration;

/// <summary>Where the record of a region is kept.</summary>
internal static class RegionFiles
{
    private const string Suffix = ".farspan";
    private const string ChunkSizeName = "chunk-size";

    /// <summary>The record directory: what was told, or the one beside a store that is a file or a directory; null for memory, whose record ends with it.</summary>
    /// <exception cref="FormatException">The store is of another kind, and nothing was told.</exception>
    public static string? DirectoryFor(string backend, string? told)
    {
        if (told is not null)
            return Path.GetFullPath(told);
        var uri = BackendUri.Parse(backend);
        return uri.Scheme switch
        {
            "file" or "directory" => Path.GetFullPath(uri.Path).TrimEnd('/') + Suffix,
            "memory" => null,
            _ => throw new FormatException($"{backend} has no place beside it where the record of its owner could be kept; give --state DIR"),
        };
    }

    /// <summary>Opens the record directory, and makes it where it is absent; for null one in memory.</summary>
    /// <exception cref="CommandException">Another process has it.</exception>
    /// <exception cref="BackendException">It cannot be opened or made.</exception>
    public static ICacheFiles Open(string? directory)
    {
        if (directory is null)
            return new MemoryFiles();
        var linux = new ManagedMountOptions().WithLinuxFiles();
        try
        {
            return CacheDirectory.Open(directory, linux.OpenCacheFile, linux.SyncDirectory);
        }
        catch (BackendException error) when (error.Error == BackendError.Leased)
        {
            throw new CommandException($"the record of the region, {directory}, is held by {Holder(directory) ?? "another process"}, which seeds or leeches it; end that first", error);
        }
    }

    /// <summary>Reads a record without holding its directory; null where there is none.</summary>
    /// <param name="place">The record directory, or the store that it is beside.</param>
    /// <returns>The record, and who holds its directory now.</returns>
    /// <exception cref="CommandException">It cannot be read.</exception>
    public static (RegionRecord Record, string? Holder)? Look(string place)
    {
        foreach (string directory in new[] { place, place.TrimEnd('/') + Suffix })
        {
            string file = Path.Combine(directory, RegionRecordFile.Name);
            if (!File.Exists(file))
                continue;
            return TryRead(file, out var record)
                ? (record, IsHeld(directory) ? Holder(directory) : null)
                : throw new CommandException($"{file} is damaged, so that nobody knows who owns the region; ask the other host");
        }

        return null;
    }

    /// <summary>Keeps by which chunks a region is moved on from here, for the next start: whoever follows it counts in these. Nothing where the record is in memory.</summary>
    public static void KeepChunkSize(string? directory, int chunkSize)
    {
        if (directory is null)
            return;
        try
        {
            File.WriteAllText(Path.Combine(directory, ChunkSizeName), chunkSize.ToString(CultureInfo.InvariantCulture));
        }
        catch (IOException)
        {
            // On a full disk whoever follows begins anew after a start; a program that runs does not end for that.
        }
    }

    /// <summary>What <see cref="KeepChunkSize"/> kept; null where nothing is.</summary>
    public static int? ChunkSizeIn(string directory)
    {
        string file = Path.Combine(directory, ChunkSizeName);
        bool isKept = File.Exists(file);
        return isKept && int.TryParse(File.ReadAllText(file), NumberStyles.None, CultureInfo.InvariantCulture, out int size)
            && size is > 0 and <= ChunkLayout.MaximumChunkSize && int.IsPow2(size) ? size : null;
    }

    // Its holder may be writing one of its slots.
    private static bool TryRead(string file, out RegionRecord record)
    {
        for (int tries = 0; tries < 10; tries++)
        {
            if (RegionRecordFile.TryRead(ReadStart(file), out record))
                return true;
        }

        record = default;
        return false;
    }

    private static byte[] ReadStart(string file)
    {
        using var opened = File.OpenHandle(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        byte[] bytes = new byte[RegionRecordFile.Size + 1];
        return bytes[..RandomAccess.Read(opened, bytes, 0)];
    }

    private static bool IsHeld(string directory)
    {
        try
        {
            using var held = File.OpenHandle(Path.Combine(directory, "lock"), FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static string? Holder(string directory)
    {
        try
        {
            return $"process {File.ReadAllText(Path.Combine(directory, "owner")).Trim()}";
        }
        catch (IOException)
        {
            return null;
        }
    }
}
