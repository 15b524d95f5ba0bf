using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Tests.Stages;

/// <summary>
/// Fails a call whose range meets that of a call under way, where either changes bytes: what a backend leaves to its caller. Above it, callers
/// that never overlap must be kept apart by the stage between.
/// </summary>
internal sealed class OverlapDetectorStage(IBackend inner) : InterceptingStage(inner)
{
    private readonly List<(long Start, long End, bool Changes)> _underWay = [];

    public int Overlaps { get; private set; }

    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
        => (call.Operation & (BackendOperation.Changes | BackendOperation.Read)) != 0
            ? WatchAsync(call, cancellationToken)
            : call.StartAsync(Below, cancellationToken);

    private async ValueTask WatchAsync(StageCall call, CancellationToken cancellationToken)
    {
        bool changes = (call.Operation & BackendOperation.Changes) != 0;
        var mine = (Start: call.Offset, End: call.Offset + call.Length, Changes: changes);
        lock (_underWay)
        {
            if (_underWay.Any(other => (other.Changes || changes) && other.Start < mine.End && mine.Start < other.End))
                Overlaps++;
            _underWay.Add(mine);
        }

        try
        {
            await Task.Yield();
            await call.StartAsync(Below, cancellationToken);
        }
        finally
        {
            lock (_underWay)
                _underWay.Remove(mine);
        }
    }
}
