using System.Threading.Tasks.Sources;

namespace Farspan.Chunks;

/// <summary>A range of chunks that is held, or waits to be, in a <see cref="ChunkRangeLock"/>, whose gate guards all fields. Reused.</summary>
internal sealed class RangeHold(ChunkRangeLock owner) : IValueTaskSource<bool>
{
    // Asynchronous: a release must not run the next holder's work on its own stack, holder after holder.
    private ManualResetValueTaskSourceCore<bool> _completion = new() { RunContinuationsAsynchronously = true };

    internal long FirstChunk { get; set; }

    internal long LastChunk { get; set; }

    internal bool IsExclusive { get; set; }

    /// <summary>Earlier holds in the way; 0 means held.</summary>
    internal int Conflicts { get; set; }

    /// <summary>Later holds that count this one among their conflicts.</summary>
    internal List<RangeHold> Dependents { get; } = [];

    /// <summary>The exclusive hold beyond which this one did not look for conflicts.</summary>
    internal RangeHold? StoppedAt { get; set; }

    internal RangeHold? Previous { get; set; }

    internal RangeHold? Next { get; set; }

    internal RangeHold? NextGranted { get; set; }

    internal bool ConflictsWith(RangeHold other)
        => (IsExclusive | other.IsExclusive) && FirstChunk <= other.LastChunk && other.FirstChunk <= LastChunk;

    internal bool Covers(RangeHold other) => FirstChunk <= other.FirstChunk && other.LastChunk <= LastChunk;

    internal ValueTask<bool> WaitAsync() => new(this, _completion.Version);

    internal void Cancel() => owner.Cancel(this);

    internal void Complete(bool granted) => _completion.SetResult(granted);

    /// <summary>Makes ready for the next use.</summary>
    internal void Reset()
    {
        Conflicts = 0;
        StoppedAt = null;
        Previous = null;
        Next = null;
        _completion.Reset();
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _completion.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _completion.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        => _completion.OnCompleted(continuation, state, token, flags);
}
