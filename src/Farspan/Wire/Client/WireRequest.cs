using System.Threading.Tasks.Sources;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>
/// One request and the task that its caller waits on; used again after that. All but the completion belongs to the link's gate. The caller's
/// buffer is his again when the task completes, so a request that is decided while a reader fills its buffer completes when that ends.
/// </summary>
internal sealed class WireRequest : IValueTaskSource
{
    private readonly WireLink _link;
    private ManualResetValueTaskSourceCore<bool> _completion = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _registration;
    private CancellationToken _token;

    public WireRequest(WireLink link)
    {
        _link = link;
        Node = new LinkedListNode<WireRequest>(this);
    }

    /// <summary>Its place in the list that it waits in.</summary>
    public LinkedListNode<WireRequest> Node { get; }

    public WireOperation Operation { get; private set; }

    public ushort Flags { get; private set; }

    public long Epoch { get; private set; }

    public long Offset { get; private set; }

    public long Length { get; private set; }

    /// <summary>For a read: the caller's buffer.</summary>
    public Memory<byte> Target { get; set; }

    /// <summary>For a write that waits for room: the caller's bytes.</summary>
    public ReadOnlyMemory<byte> Source { get; set; }

    /// <summary>For a write or zeroing: what is kept of it.</summary>
    public KeptWrite? Kept { get; set; }

    /// <summary>For taking a lease: the payload.</summary>
    public byte[]? Payload { get; set; }

    public WireAnswer? Answer { get; set; }

    /// <summary>Time for it, where that is not the options'.</summary>
    public TimeSpan? Patience { get; set; }

    public long Deadline { get; set; }

    /// <summary>For a flush: how many writes were acknowledged when it was called.</summary>
    public long Mark { get; set; }

    /// <summary>
    /// Whether it fails with the connection that it was sent on: it writes again, asks for a sign of life, or is about a region that is being moved.
    /// </summary>
    public bool FailsOnLoss { get; set; }

    public WireSlot? Slot { get; set; }

    public int Pins { get; set; }

    public bool IsDecided { get; set; }

    public Exception? Failure { get; set; }

    /// <summary>Where a reply's payload of that length goes: the caller's buffer where it has that length, else the answer's.</summary>
    public Memory<byte> RoomFor(int length) => Target.Length == length || Answer is null ? Target : Answer.Rent(length);

    public ValueTask Task => new(this, _completion.Version);

    public void Prepare(WireOperation operation, long offset, long length, long epoch, ushort flags = 0)
    {
        Operation = operation;
        Offset = offset;
        Length = length;
        Epoch = epoch;
        Flags = flags;
    }

    /// <summary>Lets the token end the wait. By the caller, once, before he sees the task.</summary>
    public void Watch(CancellationToken cancellationToken)
    {
        if (!cancellationToken.CanBeCanceled)
            return;
        _token = cancellationToken;
        _registration = cancellationToken.UnsafeRegister(static state => ((WireRequest)state!).Cancel(), this);
    }

    /// <summary>Completes the task; what waits for it goes on elsewhere. Once.</summary>
    public void Complete()
    {
        if (Failure is null)
            _completion.SetResult(result: true);
        else
            _completion.SetException(Failure);
    }

    void IValueTaskSource.GetResult(short token)
    {
        _registration.Dispose();
        try
        {
            _completion.GetResult(token);
        }
        finally
        {
            Reset();
            _link.Return(this);
        }
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _completion.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        => _completion.OnCompleted(continuation, state, token, flags);

    private void Cancel() => _link.Decide(this, new OperationCanceledException(_token));

    private void Reset()
    {
        _completion.Reset();
        _registration = default;
        _token = default;
        Target = default;
        Source = default;
        Kept = null;
        Payload = null;
        Answer = null;
        Patience = null;
        Failure = null;
        Mark = 0;
        FailsOnLoss = IsDecided = false;
    }
}
