using System.Threading.Tasks.Sources;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// One request and the task that its caller waits on; used again after that. All but the completion belongs to the link's gate. The caller's
/// buffer is his again when the task completes: who fills or copies it holds a lock that giving up takes too.
/// </summary>
internal sealed class NbdRequest(NbdLink link) : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _completion = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _registration;
    private CancellationToken _cancellationToken;

    public NbdCommand Command { get; private set; }

    public NbdCommandFlags Flags { get; private set; }

    public long Offset { get; private set; }

    public long Length { get; private set; }

    public Memory<byte> Target { get; private set; }

    public ReadOnlyMemory<byte> Payload { get; private set; }

    /// <summary>Where the answer to BLOCK_STATUS goes.</summary>
    public List<Extent>? Extents { get; private set; }

    public int ExtentLimit { get; private set; }

    /// <summary>The map of states that BLOCK_STATUS asks for; null for allocation.</summary>
    public string? MapName { get; private set; }

    /// <summary>Order of the calls; what is sent again after a loss goes in this order.</summary>
    public long Sequence { get; set; }

    /// <summary>The clock's timestamp after which the caller is told that it took too long.</summary>
    public long Deadline { get; set; }

    /// <summary>Whether the connection was lost under it before; the extra time for that is given once.</summary>
    public bool MetLoss { get; set; }

    /// <summary>For FLUSH: how many changes were acknowledged when it was called, all of which it makes durable.</summary>
    public long FlushMark { get; set; }

    /// <summary>For FLUSH: whether the client called it itself, to make room for writes.</summary>
    public bool IsForRoom { get; set; }

    /// <summary>For FLUSH: the connection that it is for, where other connections have flushes of their own beside it; null where it is for all.</summary>
    public ClientConnection? Only { get; set; }

    /// <summary>For WRITE and WRITE_ZEROES: what is kept until it is flushed, and holds the payload.</summary>
    public UnflushedWrite? Kept { get; set; }

    /// <summary>Whether the client made it up for one connection (writing again, asking for a sign of life): a loss fails it; others are sent again.</summary>
    public bool FailsOnLoss { get; set; }

    public RequestPlace Place { get; set; }

    public ClientConnection? Connection { get; set; }

    public ReplySlot? Slot { get; set; }

    /// <summary>The queue that it waits in.</summary>
    public RequestQueue? Queue { get; set; }

    public NbdRequest? Next { get; set; }

    public NbdRequest? Previous { get; set; }

    public short Version => _completion.Version;

    public void Prepare(NbdCommand command, NbdCommandFlags flags, long offset, long length)
    {
        Command = command;
        Flags = flags;
        Offset = offset;
        Length = length;
    }

    public void PrepareRead(long offset, Memory<byte> target)
    {
        Prepare(NbdCommand.Read, NbdCommandFlags.None, offset, target.Length);
        Target = target;
    }

    public void PrepareWrite(long offset, ReadOnlyMemory<byte> payload)
    {
        Prepare(NbdCommand.Write, NbdCommandFlags.None, offset, payload.Length);
        Payload = payload;
    }

    public void PrepareStatus(long offset, long length, int limit, List<Extent> extents, string? mapName = null)
    {
        Prepare(NbdCommand.BlockStatus, NbdCommandFlags.None, offset, length);
        Extents = extents;
        ExtentLimit = limit;
        MapName = mapName;
    }

    /// <summary>Lets the token end the wait. Called by the caller, once, after the request was submitted and before he sees the task.</summary>
    public void Watch(CancellationToken cancellationToken)
    {
        if (!cancellationToken.CanBeCanceled)
            return;
        _cancellationToken = cancellationToken;
        _registration = cancellationToken.UnsafeRegister(static state => ((NbdRequest)state!).Cancel(), this);
    }

    /// <summary>Completes the task; its continuation runs elsewhere. Called once, outside the gate or in it.</summary>
    public void Complete(Exception? failure)
    {
        if (failure is null)
            _completion.SetResult(result: true);
        else
            _completion.SetException(failure);
    }

    /// <summary>Gives back a request that was not submitted.</summary>
    public void Discard()
    {
        Clear();
        link.Recycle(this);
    }

    public ValueTaskSourceStatus GetStatus(short token) => _completion.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        => _completion.OnCompleted(continuation, state, token, flags);

    public void GetResult(short token)
    {
        // Waits for a cancellation that is being delivered: it must not meet the next use of this object.
        _registration.Dispose();
        try
        {
            _completion.GetResult(token);
        }
        finally
        {
            Clear();
            link.Recycle(this);
        }
    }

    private void Cancel() => link.Abandon(this, new OperationCanceledException(_cancellationToken));

    private void Clear()
    {
        _completion.Reset();
        _registration = default;
        _cancellationToken = default;
        Target = default;
        Payload = default;
        Extents = null;
        ExtentLimit = 0;
        MapName = null;
        MetLoss = false;
        IsForRoom = false;
        FailsOnLoss = false;
        Kept = null;
        FlushMark = 0;
        Place = RequestPlace.Idle;
        Connection = null;
        Slot = null;
        Only = null;
    }
}
