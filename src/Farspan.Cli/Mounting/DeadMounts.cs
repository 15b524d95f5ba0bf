namespace Farspan.Cli.Mounting;

/// <summary>Forgets mounts whose process has died and that leave nothing to do.</summary>
internal static class DeadMounts
{
    /// <summary>
    /// Removes the records of those that left no mount in the kernel's table and no cache to go on with: it was in memory, its directory is gone, or
    /// another mount has taken it over.
    /// </summary>
    public static void Prune(string runtimeDirectory)
    {
        var records = MountRecord.List(runtimeDirectory).ToList();
        var caches = records.Where(record => record.IsServed).Select(record => record.Cache).ToHashSet();
        foreach (var record in records.Where(record => !record.IsServed))
        {
            bool isResumable = record.ResumeCommand is not null && Directory.Exists(record.Cache) && !caches.Contains(record.Cache);
            if (!isResumable && !(record.IsFile && MountTable.IsFarspanMount(record.Target)))
                record.RemoveDead();
        }
    }
}
