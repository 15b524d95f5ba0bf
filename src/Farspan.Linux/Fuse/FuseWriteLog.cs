using Farspan.Backends;

namespace Farspan.Linux.Fuse;

/// <summary>What was written through a mount, and how much of that is durable. Thread-safe.</summary>
internal sealed class FuseWriteLog(IBackend backend)
{
    private long _writeVersion;
    private long _flushedVersion;
    private long _lostPages;
    private Exception? _firstLoss;

    /// <summary>Whether something was written or zeroed since the last successful flush began.</summary>
    public bool IsDirty => Interlocked.Read(ref _writeVersion) != Interlocked.Read(ref _flushedVersion);

    /// <summary>Writes and zeroings that have reached the backend.</summary>
    public long WriteCount => Interlocked.Read(ref _writeVersion);

    /// <summary>Writes of the page cache that the backend refused: the kernel drops such pages, so nobody may be left to hear of it.</summary>
    public (long Count, Exception? First) LostWrites => (Interlocked.Read(ref _lostPages), Volatile.Read(ref _firstLoss));

    /// <summary>A write has reached the backend.</summary>
    public void NoteWrite() => Interlocked.Increment(ref _writeVersion);

    public void NoteLoss(Exception error)
    {
        Interlocked.CompareExchange(ref _firstLoss, error, comparand: null);
        Interlocked.Increment(ref _lostPages);
    }

    /// <summary>Makes durable what was written before the call.</summary>
    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        long version = Interlocked.Read(ref _writeVersion);
        await backend.FlushAsync(cancellationToken);
        long flushed = Interlocked.Read(ref _flushedVersion);
        while (flushed < version)
        {
            long seen = Interlocked.CompareExchange(ref _flushedVersion, version, flushed);
            if (seen == flushed)
                return;
            flushed = seen;
        }
    }
}
