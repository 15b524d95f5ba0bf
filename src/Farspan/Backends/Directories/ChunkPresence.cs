using System.Collections.Concurrent;
using System.Numerics;

namespace Farspan.Backends.Directories;

/// <summary>
/// Which chunk files exist, a bit each, read group by group when first asked for. What holds the directory's lock is the only one that creates
/// and deletes there, so this is what is so.
/// </summary>
/// <remarks>All members may be called from any thread.</remarks>
internal sealed class ChunkPresence
{
    private const int GroupLength = 1 << ChunkNames.GroupShift;
    private readonly ChunkNames _names;
    private readonly bool _isReadOnly;
    private readonly ConcurrentDictionary<long, Group> _groups = new();

    /// <summary>Reads which groups there are.</summary>
    public ChunkPresence(ChunkNames names, bool isReadOnly)
    {
        _names = names;
        _isReadOnly = isReadOnly;
        foreach (string path in Directory.EnumerateDirectories(names.Root))
        {
            if (ChunkNames.TryParse(path, out long group))
                _groups[group] = new Group();
        }
    }

    /// <summary>Whether the chunk's file exists.</summary>
    public bool Contains(long index)
        => _groups.TryGetValue(index >> ChunkNames.GroupShift, out var group) && (Word(Bits(group, index), index) >> (int)(index & 63) & 1) != 0;

    /// <summary>The number of chunks from <paramref name="index"/> on, at most <paramref name="limit"/>, that all exist or all do not.</summary>
    public long RunLength(long index, long limit, out bool exists)
    {
        exists = Contains(index);
        long end = index + limit;
        long at = index;
        while (at < end)
        {
            if (!_groups.TryGetValue(at >> ChunkNames.GroupShift, out var group))
            {
                if (exists)
                    break;
                at = ((at >> ChunkNames.GroupShift) + 1) << ChunkNames.GroupShift;
                continue;
            }

            ulong differing = (Word(Bits(group, at), at) ^ (exists ? ulong.MaxValue : 0)) >> (int)(at & 63);
            int same = BitOperations.TrailingZeroCount(differing);
            if (same < 64 - (int)(at & 63))
            {
                at += same;
                break;
            }

            at = (at | 63) + 1;
        }

        return Math.Min(at, end) - index;
    }

    /// <summary>Whether the directory of the chunk's group exists.</summary>
    public bool HasGroup(long index) => _groups.ContainsKey(index >> ChunkNames.GroupShift);

    /// <summary>The directory of the chunk's group exists from now on; it was empty.</summary>
    public void AddGroup(long index)
    {
        // Known to be empty: looking at the directory later would take the unfinished files of writers for left-overs and delete them.
        _groups.TryAdd(index >> ChunkNames.GroupShift, new Group { Bits = new ulong[GroupLength / 64] });
    }

    /// <summary>The chunk's file exists from now on.</summary>
    public void Add(long index) => Interlocked.Or(ref Word(index), 1UL << (int)(index & 63));

    /// <summary>The chunk's file exists no longer.</summary>
    public void Remove(long index) => Interlocked.And(ref Word(index), ~(1UL << (int)(index & 63)));

    private ref ulong Word(long index) => ref Word(Bits(_groups[index >> ChunkNames.GroupShift], index), index);

    private static ref ulong Word(ulong[] bits, long index) => ref bits[(index & (GroupLength - 1)) >> 6];

    /// <summary>The bits of a group, read once. A failure is not kept: who asks next reads again.</summary>
    private ulong[] Bits(Group group, long index)
    {
        if (group.Bits is { } known)
            return known;

        // One at a time: a second reader would take what the first one's caller creates for left-overs and delete it.
        lock (group)
            return group.Bits ??= Load(index >> ChunkNames.GroupShift);
    }

    private ulong[] Load(long group)
    {
        var bits = new ulong[GroupLength / 64];
        foreach (string path in Directory.EnumerateFiles(_names.Group(group)))
        {
            if (ChunkNames.TryParse(path, out long index) && index >> ChunkNames.GroupShift == group)
                Word(bits, index) |= 1UL << (int)(index & 63);
            else if (ChunkNames.IsUnfinished(path) && !_isReadOnly)
                File.Delete(path);
        }

        return bits;
    }

    private sealed class Group
    {
        private volatile ulong[]? _bits;

        public ulong[]? Bits
        {
            get => _bits;
            set => _bits = value;
        }
    }
}
