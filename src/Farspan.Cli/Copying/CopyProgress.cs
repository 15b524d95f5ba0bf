namespace Farspan.Cli.Copying;

/// <summary>How far a copy has come. Thread-safe; the counters only grow.</summary>
internal sealed class CopyProgress
{
    private readonly Lock _lock = new();
    private readonly SortedSet<long> _running = [];
    private long _planned;
    private long _done;
    private long _written;
    private long _read;

    /// <summary>Bytes that are dealt with, whether they were copied, zeroed or found to be right.</summary>
    public long Done => Volatile.Read(ref _done);

    /// <summary>Bytes read from the source.</summary>
    public long Read => Volatile.Read(ref _read);

    /// <summary>Bytes sent to the destination; zeroed and skipped ones do not count.</summary>
    public long Written => Volatile.Read(ref _written);

    /// <summary>Every byte before this offset is dealt with.</summary>
    public long CompleteUpTo
    {
        get
        {
            lock (_lock)
                return _running.Count > 0 ? _running.Min : _planned;
        }
    }

    /// <summary>A piece is about to be handed to a worker. Pieces are planned in order.</summary>
    internal void Plan(long offset, long length)
    {
        lock (_lock)
        {
            _running.Add(offset);
            _planned = offset + length;
        }
    }

    /// <summary>A planned piece is dealt with.</summary>
    internal void Complete(long offset, long length)
    {
        lock (_lock)
            _running.Remove(offset);
        Interlocked.Add(ref _done, length);
    }

    /// <summary>Bytes came from the source.</summary>
    internal void AddRead(long bytes) => Interlocked.Add(ref _read, bytes);

    /// <summary>Bytes went to the destination.</summary>
    internal void AddWritten(long bytes) => Interlocked.Add(ref _written, bytes);
}
