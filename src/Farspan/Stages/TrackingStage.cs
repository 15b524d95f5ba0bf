using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>
/// Records which chunks were written, trimmed or zeroed, for any number of sessions at once. Each session has its own bitmap: one bit for
/// each chunk.
/// </summary>
/// <remarks>
/// <para>A chunk is marked after the store has answered and before the caller is told. So whoever takes a snapshot and then reads the chunks
/// in it has every write that was acknowledged before; a write that was on its way then, even from before the session began, is in the next
/// snapshot. A write that failed or was cancelled is marked as well, since it may have reached the store.</para>
/// <para>Without a session a call costs one read of a field after it. Thread-safe.</para>
/// </remarks>
public sealed class TrackingStage : InterceptingStage
{
    private TrackingSession[]? _sessions;

    /// <summary>Wraps <paramref name="inner"/>.</summary>
    /// <param name="inner">The backend below.</param>
    /// <param name="chunkSize">Bytes for each bit: a power of two up to 32 MiB. 64 KiB unless told.</param>
    /// <exception cref="ArgumentOutOfRangeException">The chunk size is none.</exception>
    public TrackingStage(IBackend inner, int chunkSize = 64 << 10)
        : base(inner)
    {
        Layout = new ChunkLayout(inner.Length, chunkSize);
    }

    /// <summary>How the backend divides into chunks.</summary>
    public ChunkLayout Layout { get; }

    /// <summary>Begins to record, until the session is disposed.</summary>
    public TrackingSession BeginTracking()
    {
        var session = new TrackingSession(this);
        TrackingSession[]? before, after;
        do
        {
            before = Volatile.Read(ref _sessions);
            after = before is null ? [session] : [.. before, session];
        }
        while (Interlocked.CompareExchange(ref _sessions, after, before) != before);
        return session;
    }

    /// <inheritdoc/>
    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => Inner.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(IExtentSource) || typeof(TCapability) == typeof(IMemoryLender)
            ? Inner.GetCapability<TCapability>()
            : base.GetCapability<TCapability>();

    internal void End(TrackingSession session)
    {
        TrackingSession[]? before, after;
        do
        {
            before = Volatile.Read(ref _sessions);
            after = before is null || before.Length == 1 && before[0] == session ? null : Array.FindAll(before, other => other != session);
        }
        while (Interlocked.CompareExchange(ref _sessions, after, before) != before);
    }

    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
    {
        var step = call.StartAsync(Below, cancellationToken);
        if ((call.Operation & BackendOperation.Changes) == 0)
            return step;
        if (!step.IsCompletedSuccessfully)
            return MarkLaterAsync(step, call.Offset, call.Length);
        Mark(call.Offset, call.Length);
        return step;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask MarkLaterAsync(ValueTask change, long offset, long length)
    {
        try
        {
            await change;
        }
        finally
        {
            Mark(offset, length);
        }
    }

    private void Mark(long offset, long length)
    {
        // The full fence orders the store's change before the look at the sessions: a session that is missed here began after the change.
        Interlocked.MemoryBarrier();
        if (_sessions is not { } sessions || length == 0)
            return;
        long first = Layout.IndexOf(offset);
        long count = Layout.IndexOf(offset + length - 1) - first + 1;
        foreach (var session in sessions)
            session.Mark(first, count);
    }
}
