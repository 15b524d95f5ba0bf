namespace Farspan.Linux.Userfaults;

/// <summary>What a region's service has done. Each is counted by any thread.</summary>
internal sealed class RegionCounters
{
    private long _faults;
    private long _filled;
    private long _saved;
    private long _evicted;

    public long Faults => Volatile.Read(ref _faults);

    public long FilledBytes => Volatile.Read(ref _filled);

    public long SavedBytes => Volatile.Read(ref _saved);

    public long EvictedBytes => Volatile.Read(ref _evicted);

    /// <summary>The last failure that no caller was given.</summary>
    public Exception? LastError { get; set; }

    public void Fault() => Interlocked.Increment(ref _faults);

    public void Filled(long bytes) => Interlocked.Add(ref _filled, bytes);

    public void Saved(long bytes) => Interlocked.Add(ref _saved, bytes);

    public void Evicted(long bytes) => Interlocked.Add(ref _evicted, bytes);
}
