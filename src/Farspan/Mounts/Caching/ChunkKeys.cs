namespace Farspan.Mounts.Caching;

/// <summary>Dictionaries by chunk that lose a run of chunks, however long.</summary>
internal static class ChunkKeys
{
    /// <summary>Removes what is kept of the chunks; false where nothing was.</summary>
    public static bool Remove<T>(Dictionary<long, T> chunks, long first, long count)
    {
        bool isAny = false;
        if (count <= chunks.Count)
        {
            for (long index = first; index < first + count; index++)
                isAny |= chunks.Remove(index);
            return isAny;
        }

        foreach (long index in chunks.Keys)
        {
            // Removing is the one change that an enumeration allows.
            if (index >= first && index < first + count)
                isAny |= chunks.Remove(index);
        }

        return isAny;
    }
}
