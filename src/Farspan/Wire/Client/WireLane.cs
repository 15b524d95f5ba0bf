using Farspan.Backends;
using Farspan.Transports;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>One connection: its places for requests, its sender and its reader. State is under the link's gate.</summary>
internal sealed class WireLane
{
    private readonly WireSlot[] _slots;
    private readonly Stack<WireSlot> _free;
    private readonly ByteChannel _line;
    private readonly LaneSender _sender;
    private readonly LaneReader _reader;
    private readonly Thread _thread;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private BackendException? _failure;
    private bool _isLeaving;

    public WireLane(WireLink link, ByteChannel line, ServerHello hello, int capacity)
    {
        Link = link;
        Hello = hello;
        _line = line;
        _slots = [.. Enumerable.Range(0, capacity + 1).Select(i => new WireSlot(this, i))];
        _free = new Stack<WireSlot>(_slots.Reverse());
        _sender = new LaneSender(this, line, capacity);
        _reader = new LaneReader(this, line);
        LastArrival = link.Options.Clock.GetTimestamp();
        _thread = new Thread(Read, 512 << 10) { IsBackground = true, Name = "farspan replies" };
    }

    public WireLink Link { get; }

    public ServerHello Hello { get; }

    public LaneSender Sender => _sender;

    /// <summary>Completes once no thread uses the connection any more.</summary>
    public Task Ended => _ended.Task;

    public bool HasFailed => _failure is not null;

    public BackendException? Failure => _failure;

    /// <summary>Places for requests; one more is kept for asking for a sign of life.</summary>
    public int FreeCount => HasFailed || _isLeaving ? 0 : Math.Max(0, _free.Count - 1);

    public bool HasPlace => !HasFailed && !_isLeaving && _free.Count > 0;

    public bool IsBusy => _free.Count < _slots.Length;

    /// <summary>When something came last; a timestamp of the clock.</summary>
    public long LastArrival { get; set; }

    /// <summary>Whether a sign of life was asked for since then.</summary>
    public bool IsPinged { get; set; }

    public IReadOnlyList<WireSlot> Slots => _slots;

    public void Start() => _thread.Start();

    /// <summary>Puts a request on the way. Gate held. True where the caller must then call <see cref="LaneSender.Pump()"/>.</summary>
    public bool Enqueue(WireRequest request)
    {
        var slot = _free.Pop();
        slot.Begin(request);
        return _sender.Enqueue(slot);
    }

    public WireSlot? Find(in WireFrame reply)
    {
        int index = WireSlot.IndexOf(reply.Id);
        return index < _slots.Length && _slots[index].Expects(reply) ? _slots[index] : null;
    }

    /// <summary>The slot's reply came, or its request was never sent. Gate held.</summary>
    public void Free(WireSlot slot)
    {
        slot.IsActive = false;
        slot.Request = null;
        _free.Push(slot);
    }

    /// <summary>The connection is of no use any more. Any thread, gate held or not.</summary>
    public void Fail(BackendException failure)
    {
        lock (Link.Gate)
        {
            if (_failure is not null)
                return;
            _failure = failure;
            _sender.Stop();
            Link.OnLost(this, failure);
        }

        _line.Abort();
    }

    /// <summary>Takes leave from the server; requests that are on the way are not waited for.</summary>
    public void Leave()
    {
        lock (Link.Gate)
        {
            _isLeaving = true;
            if (_failure is not null || !_sender.TryStopForGood())
                return;
        }

        try
        {
            byte[] goodbye = new byte[WireFrame.Size];
            new WireFrame(WireOperation.Goodbye, 0, 0, 0, 0, 0, 0, 0).WriteRequest(goodbye);
            _line.Send(goodbye);
            _line.FinishSending();
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException)
        {
            // The server was first.
        }
    }

    public void Abort() => _line.Abort();

    private void Read()
    {
        BackendException failure;
        try
        {
            _reader.Run();
            failure = new BackendException(BackendError.Disconnected, $"The Farspan server {Link.Options.Name} closed the connection.");
        }
        catch (IOException error)
        {
            failure = error as BackendException ?? new BackendException(BackendError.Disconnected, $"{Link.Options.Name}: {error.Message}", error);
        }

        Fail(failure);
        _sender.Join();
        _line.Dispose();
        _ended.SetResult();
    }
}
