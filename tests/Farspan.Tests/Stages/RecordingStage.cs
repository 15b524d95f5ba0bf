using System.Collections.Concurrent;
using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Tests.Stages;

/// <summary>Keeps every call that reaches it.</summary>
internal sealed class RecordingStage(IBackend inner) : InterceptingStage(inner)
{
    public ConcurrentQueue<(BackendOperation Operation, long Offset, long Length)> Calls { get; } = new();

    public bool IsDisposed { get; private set; }

    public override ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return base.DisposeAsync();
    }

    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
    {
        Calls.Enqueue((call.Operation, call.Offset, call.Length));
        return call.StartAsync(Below, cancellationToken);
    }
}
