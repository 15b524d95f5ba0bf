using Farspan.Backends;
using Farspan.Mounts.Caching;

namespace Farspan.Migration;

/// <summary>Keeps the record of a region in a directory that this process holds.</summary>
internal static class RegionRecordFile
{
    /// <summary>The file's name in the directory.</summary>
    public const string Name = "region";

    private const string UnfinishedName = "region.new";

    /// <summary>
    /// What is kept, and durable from now on; role None where nothing is. A process that was killed may have left a name that a loss of power would
    /// still take back: who believed it would tell others what is not so any more.
    /// </summary>
    /// <exception cref="BackendException">
    /// It failed, or the record is damaged (<see cref="BackendError.Corrupt"/>): then nobody knows who owns the region, and nothing is assumed.
    /// </exception>
    public static async ValueTask<RegionRecord> ReadAsync(ICacheFiles files)
    {
        await files.SyncNamesAsync();
        if (!(await files.ListAsync()).Contains(Name))
            return default;
        await using var file = await files.OpenAsync(Name);
        byte[] bytes = new byte[Math.Min(file.Length, RegionRecord.Size + 1)];
        await file.ReadAsync(0, bytes);
        if (RegionRecord.TryRead(bytes, out var record))
            return record;
        throw new BackendException(
            BackendError.Corrupt, $"The file {Name} in {files.Name} is damaged, so that nobody knows who owns the region; ask the other host before you delete it.");
    }

    /// <summary>Keeps it; durable when this returns. A crash before leaves what was kept before, or this.</summary>
    /// <exception cref="BackendException">It failed; which of the two is kept is not known until a later call returns.</exception>
    public static async ValueTask WriteAsync(ICacheFiles files, RegionRecord record)
    {
        if (record.Role == RegionRole.None)
        {
            if ((await files.ListAsync()).Contains(Name))
                await files.DeleteAsync(Name);
            await files.SyncNamesAsync();
            return;
        }

        byte[] bytes = new byte[RegionRecord.Size];
        record.Write(bytes);
        await using (var file = await files.CreateAsync(UnfinishedName))
        {
            await file.WriteAsync(0, bytes);
            await file.FlushAsync();
        }

        await files.RenameAsync(UnfinishedName, Name);
        await files.SyncNamesAsync();
    }
}
