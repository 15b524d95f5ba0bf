using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>One recording of a <see cref="TrackingStage"/>, from <see cref="TrackingStage.BeginTracking"/> until it is disposed. Thread-safe.</summary>
public sealed class TrackingSession : IDisposable
{
    private readonly TrackingStage _stage;
    private readonly ChunkBitmap _changed;

    internal TrackingSession(TrackingStage stage)
    {
        _stage = stage;
        _changed = new ChunkBitmap(stage.Layout.ChunkCount);
    }

    /// <summary>The number of chunks changed since the last snapshot.</summary>
    public long ChangedCount => _changed.Count;

    /// <summary>
    /// The chunks changed since the last snapshot, or since the beginning; they are forgotten here. A change that was acknowledged before the
    /// call is in this snapshot or an earlier one; one that races it is in this or the next.
    /// </summary>
    public ChunkBitmap SnapshotAndClear() => _changed.TakeAll();

    /// <summary>Ends the recording. What was recorded can still be taken.</summary>
    public void Dispose() => _stage.End(this);

    internal void Mark(long firstChunk, long count) => _changed.Set(firstChunk, count);
}
