using Farspan.Chunks;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// What is known of each chunk of a region, in four bytes: its <see cref="ChunkState"/>, marks, and how many hold it. What was never touched takes no
/// memory. Every change is one atomic step; thread-safe.
/// </summary>
internal sealed class ChunkTable
{
    /// <summary>It was used since the hand of the eviction passed.</summary>
    public const uint Used = 1 << 3;

    /// <summary>It is to be saved whole, whatever the memory says: a save of it failed, or nobody notes writes to it.</summary>
    public const uint Unsaved = 1 << 4;

    /// <summary>Somebody waits for the end of what is being done to it (<see cref="ChunkWaiters"/>).</summary>
    public const uint Awaited = 1 << 5;

    /// <summary>A thread may be waiting in the kernel for it.</summary>
    public const uint Faulted = 1 << 6;

    private const uint StateMask = 7;
    private const int HoldShift = 8;
    private const uint OneHold = 1 << HoldShift;
    private const int BlockShift = 14;

    private readonly uint[]?[] _blocks;

    public ChunkTable(ChunkLayout layout)
    {
        Count = layout.ChunkCount;
        _blocks = new uint[]?[(Count >> BlockShift) + 1];
    }

    public long Count { get; }

    public static ChunkState StateOf(uint word) => (ChunkState)(word & StateMask);

    public static bool IsHeld(uint word) => word >= OneHold;

    public static uint HoldsOf(uint word) => word >> HoldShift;

    public uint Read(long index) => _blocks[index >> BlockShift] is { } block ? Volatile.Read(ref block[index & ((1 << BlockShift) - 1)]) : 0;

    public ChunkState StateOf(long index) => StateOf(Read(index));

    /// <summary>Goes from one state to another, if it is in that one; held or not.</summary>
    /// <param name="index">The chunk.</param>
    /// <param name="from">Where it has to be.</param>
    /// <param name="to">Where it goes.</param>
    /// <param name="marks">Marks that are set as well.</param>
    public bool TryMove(long index, ChunkState from, ChunkState to, uint marks = 0)
    {
        ref uint place = ref At(index);
        while (true)
        {
            uint word = Volatile.Read(ref place);
            if (StateOf(word) != from)
                return false;
            if (Interlocked.CompareExchange(ref place, (word & ~StateMask) | (uint)to | marks, word) == word)
                return true;
        }
    }

    /// <summary>Takes a chunk for eviction: present, not held, not to be saved; used ones are spared once.</summary>
    public bool TryTake(long index)
    {
        uint word = Read(index);
        if (StateOf(word) != ChunkState.Present || IsHeld(word))
            return false;
        ref uint place = ref At(index);
        if ((word & Used) != 0)
        {
            _ = Interlocked.CompareExchange(ref place, word & ~Used, word);
            return false;
        }

        return (word & Unsaved) == 0 && Interlocked.CompareExchange(ref place, (word & ~StateMask) | (uint)ChunkState.Evicting, word) == word;
    }

    /// <summary>Ends what is being done to a chunk: it gets its new state, and nobody waits any more. What the word was is for the caller to act on.</summary>
    public uint Finish(long index, ChunkState to, uint marks = 0)
    {
        ref uint place = ref At(index);
        while (true)
        {
            uint word = Volatile.Read(ref place);
            if (Interlocked.CompareExchange(ref place, (word & ~(StateMask | Awaited | Faulted)) | (uint)to | marks, word) == word)
                return word;
        }
    }

    /// <summary>Holds a chunk that is present.</summary>
    public bool TryHold(long index, uint marks, out bool isFirst)
    {
        ref uint place = ref At(index);
        while (true)
        {
            uint word = Volatile.Read(ref place);
            isFirst = !IsHeld(word);
            if (StateOf(word) != ChunkState.Present)
                return false;
            if (Interlocked.CompareExchange(ref place, (word + OneHold) | marks, word) == word)
                return true;
        }
    }

    /// <summary>Ends one hold; whether it was the last.</summary>
    public bool Release(long index) => !IsHeld(Interlocked.Add(ref At(index), unchecked(0 - OneHold)));

    /// <summary>Sets marks while the chunk is in a state; false where it is not.</summary>
    public bool TryMark(long index, ChunkState state, uint marks) => TryMove(index, state, state, marks);

    /// <summary>Clears marks, and says whether any was set.</summary>
    public bool Clear(long index, uint marks)
    {
        if ((Read(index) & marks) == 0)
            return false;
        return (Interlocked.And(ref At(index), ~marks) & marks) != 0;
    }

    /// <summary>The first chunk from <paramref name="index"/> on, before <paramref name="end"/>, that is absent; or <paramref name="end"/>.</summary>
    public long NextAbsent(long index, long end)
    {
        while (index < end && StateOf(index) != ChunkState.Absent)
            index++;
        return index;
    }

    /// <summary>The start of the next chunk of which anything is known: what lies between was never touched.</summary>
    public long SkipUntouched(long index, long end)
    {
        while (index < end && _blocks[index >> BlockShift] is null)
            index = ((index >> BlockShift) + 1) << BlockShift;
        return Math.Min(index, end);
    }

    private ref uint At(long index)
    {
        ref var block = ref _blocks[index >> BlockShift];
        if (block is null)
            _ = Interlocked.CompareExchange(ref block, new uint[1 << BlockShift], null);
        return ref block[index & ((1 << BlockShift) - 1)];
    }
}
