using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>
/// The file's open handles: who of them may have bytes in the page cache that were not sent here, and which truncations belong to an opening.
/// Thread-safe.
/// </summary>
/// <remarks>
/// To open with O_TRUNC the kernel asks for OPEN and then, from the same thread, for a size of 0, in the same words as truncate(path, 0) does.
/// It could tell the two apart, but would then throw away what other programs have mapped and not yet written.
/// </remarks>
internal sealed class FuseOpenHandles(bool usesWritebackCache)
{
    private readonly Dictionary<ulong, (int ThreadId, bool HoldsUnseenWrites)> _handles = [];
    private readonly Dictionary<int, ulong> _newest = [];
    private ulong _last;
    private int _unseenWriters;

    /// <summary>Whether bytes of the file may be newer in the page cache: through a shared mapping, or by the write-back cache.</summary>
    public bool MayHoldUnseenWrites => Volatile.Read(ref _unseenWriters) > 0;

    /// <summary>A thread opens the file; returns the handle.</summary>
    public ulong Open(int threadId, uint access)
    {
        bool holdsUnseenWrites = access == Libc.O_RDWR || (usesWritebackCache && access != Libc.O_RDONLY);
        lock (_handles)
        {
            _handles.Add(++_last, (threadId, holdsUnseenWrites));
            _newest[threadId] = _last;
            _unseenWriters += holdsUnseenWrites ? 1 : 0;
            return _last;
        }
    }

    public void Release(ulong handle)
    {
        lock (_handles)
        {
            if (!_handles.Remove(handle, out var released))
                return;
            if (_newest.GetValueOrDefault(released.ThreadId) == handle)
                _newest.Remove(released.ThreadId);
            _unseenWriters -= released.HoldsUnseenWrites ? 1 : 0;
        }
    }

    /// <summary>Whether a thread that asks for a size of 0 may be opening the file; true once for each opening at most.</summary>
    public bool TryTruncateByOpening(int threadId)
    {
        // Threads of processes that ours cannot see all have this number.
        if (threadId == 0)
            return true;
        lock (_handles)
            return _newest.Remove(threadId);
    }
}
