using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Tests.Mounts;

/// <summary>A remote that keeps what was not flushed in memory only, and restarts when it is told to: the flush that finds that out fails.</summary>
internal sealed class ForgetfulRemote(long length) : Stage(new MemoryBackend(length)), ILeasing
{
    private readonly List<(long Offset, byte[] Before)> _unflushed = [];
    private readonly CancellationTokenSource _lost = new();
    private (long Offset, TaskCompletionSource Reply)? _held;

    /// <summary>What was called, in turn.</summary>
    public List<string> Calls { get; } = [];

    /// <summary>Whether the next flush finds that the remote was restarted.</summary>
    public bool RestartsAtNextFlush { get; set; }

    /// <summary>Holds back the reply to the next write at an offset, until the source is completed.</summary>
    public TaskCompletionSource HoldReply(long offset)
    {
        _held = (offset, new TaskCompletionSource());
        return _held.Value.Reply;
    }

    /// <summary>Another has the lease now; this remote is of those that go on to take what the old holder sends.</summary>
    public void LoseLease() => _lost.Cancel();

    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Calls.Add("read");
        return base.ReadAsync(offset, buffer, cancellationToken);
    }

    public override async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Calls.Add("write");
        byte[] before = new byte[buffer.Length];
        await base.ReadAsync(offset, before, cancellationToken);
        _unflushed.Add((offset, before));
        await base.WriteAsync(offset, buffer, cancellationToken);
        if (_held is not { } held || held.Offset != offset)
            return;
        _held = null;
        await held.Reply.Task;
    }

    public override async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        Calls.Add("flush");
        if (RestartsAtNextFlush)
        {
            RestartsAtNextFlush = false;
            for (int i = _unflushed.Count - 1; i >= 0; i--)
                await base.WriteAsync(_unflushed[i].Offset, _unflushed[i].Before, cancellationToken);
            _unflushed.Clear();
            throw new BackendException(BackendError.Disconnected, "It was restarted.");
        }

        _unflushed.Clear();
    }

    public ValueTask<ILease> AcquireAsync(string holder, Guid? key = null, CancellationToken cancellationToken = default) => new(new Lease(this));

    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(ILeasing) ? this as TCapability : null;

    public override ValueTask DisposeAsync()
    {
        _lost.Dispose();
        return base.DisposeAsync();
    }

    private sealed class Lease(ForgetfulRemote remote) : ILease
    {
        public long Epoch => 1;

        public long? UnbrokenSince => null;

        public IBackend Backend => remote;

        public CancellationToken Lost => remote._lost.Token;

        public ValueTask DisposeAsync() => default;
    }
}
