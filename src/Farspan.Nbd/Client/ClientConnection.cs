using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// One connection in transmission: slots for the requests on the way, a thread that reads replies, and the sending of requests. Who submits
/// a request sends it himself, with all that others queued meanwhile, as long as what was not answered yet surely fits the socket's buffer;
/// else a sender thread does, so that no caller ever waits in a send. State is under the link's gate.
/// </summary>
internal sealed class ClientConnection : IReplyTarget
{
    private const int SlotBits = 10;

    private readonly NbdTransport _transport;
    private readonly NbdClientOptions _options;
    private readonly WireReader _wire;
    private readonly ReplySlot[] _slots;
    private readonly Stack<ReplySlot> _free;
    private readonly RequestSender _sender;
    private readonly TaskCompletionSource<NbdLink?> _start = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private NbdLink? _link;
    private NbdRequest? _borrowed;
    private ulong _uses;
    private bool _isRetired;
    private bool _wantsPump;

    private ClientConnection(NbdTransport transport, ExportDescription export, NbdClientOptions options)
    {
        _transport = transport;
        _options = options;
        Export = export;
        _wire = new WireReader(transport.Stream);
        _slots = new ReplySlot[options.RequestsPerConnection];
        _free = new Stack<ReplySlot>(_slots.Length);
        for (int i = _slots.Length - 1; i >= 0; i--)
            _free.Push(_slots[i] = new ReplySlot(i));
        _sender = new RequestSender(this, transport, export.ExtendedHeaders, _slots.Length);
    }

    public ExportDescription Export { get; }

    /// <summary>Slots in use, those of callers who gave up included.</summary>
    public int ActiveCount => _slots.Length - _free.Count;

    /// <summary>Slots of callers who gave up, whose replies are still to come.</summary>
    public int AbandonedCount { get; private set; }

    public bool HasRoom => _free.Count > 0 && !_isRetired && Failure is null;

    /// <summary>Why the connection is no good any more, or null.</summary>
    public BackendException? Failure { get; private set; }

    /// <summary>Grows with everything that arrives.</summary>
    public long Arrivals => _wire.Arrivals;

    /// <summary>Completes when a retired connection has nothing on the way any more, or failed.</summary>
    public Task Drained => _drained.Task;

    /// <summary>Completes when the threads are gone and the stream is closed.</summary>
    public Task Ended => _ended.Task;

    internal NbdLink Link => _link!;

    internal Lock Gate => _link!.Gate;

    /// <summary>Connects and negotiates on a thread of its own, which then waits for <see cref="Start"/> to read replies.</summary>
    /// <exception cref="BackendException">It failed, or took longer than the options' time for connecting.</exception>
    public static Task<ClientConnection> OpenAsync(NbdClientOptions options, CancellationToken cancellationToken)
    {
        var opened = new TaskCompletionSource<ClientConnection>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(
            () =>
            {
                ClientConnection connection;
                try
                {
                    var (transport, export) = NbdOpening.Run(options, ClientHandshake.Enter, cancellationToken);
                    connection = new ClientConnection(transport, export, options);
                }
                catch (Exception error)
                {
                    opened.SetException(error);
                    return;
                }

                opened.SetResult(connection);
                connection.ReadReplies();
            })
        {
            IsBackground = true,
            Name = "nbd replies",
        };
        thread.Start();
        return opened.Task;
    }

    /// <summary>Begins to take requests for <paramref name="link"/>.</summary>
    public void Start(NbdLink link)
    {
        _link = link;
        _start.SetResult(link);
    }

    /// <summary>Ends a connection that was never started.</summary>
    public void Discard()
    {
        _transport.Abort();
        _start.SetResult(null);
    }

    /// <summary>Puts a request into a free slot. Gate held, <see cref="HasRoom"/>. True where the caller must call <see cref="Pump"/> after the gate.</summary>
    public bool Assign(NbdRequest request)
    {
        var slot = _free.Pop();
        slot.Begin(request.Command, request.Offset, request.Length, request.ExtentLimit);
        slot.IsActive = true;
        slot.Cookie = (++_uses << SlotBits) | (uint)slot.Index;
        slot.Request = request;
        slot.SendCost = RequestSender.CostOf(request);
        request.Place = RequestPlace.Sent;
        request.Connection = this;
        request.Slot = slot;
        request.ArrivalsBefore = _wire.Arrivals;
        return _sender.Enqueue(slot);
    }

    /// <summary>Sends what is queued. Only for who was told to by <see cref="Assign"/>.</summary>
    public void Pump() => _sender.Pump();

    /// <summary>Takes the caller out of a slot. Gate held. The slot stays in use until its reply was read past, unless nothing was sent.</summary>
    public void Abandon(ReplySlot slot)
    {
        slot.Request = null;
        AbandonedCount++;
    }

    /// <summary>Frees a slot whose request was given up before it was sent, for the next who waits. Gate held, by the sender.</summary>
    internal void FreeUnsent(ReplySlot slot)
    {
        AbandonedCount--;
        slot.SendCost = 0;
        Free(slot);
        Link.Dispatch(this);
    }

    /// <summary>Takes no more requests. Gate held.</summary>
    public void Retire()
    {
        _isRetired = true;
        if (ActiveCount == 0 || Failure is not null)
            _drained.TrySetResult();
    }

    /// <summary>Says good-bye to the server: after what is queued, DISC is sent. Then the server closes the connection, or <see cref="Abort"/> does.</summary>
    public void Disconnect() => _sender.Disconnect();

    /// <summary>Ends the connection at once; the reading thread finds out and fails it.</summary>
    public void Abort() => _transport.Abort();

    /// <summary>Takes the connection out of use and its requests back to the link. The first failure counts. Not under the gate.</summary>
    public void Fail(BackendException failure)
    {
        lock (Gate)
        {
            if (Failure is not null)
                return;
            Failure = failure;
            _drained.TrySetResult();
            _sender.Stop();
            Link.OnLost(this);
        }

        _transport.Abort();
    }

    /// <summary>
    /// Takes the requests out of the slots of a failed connection, in no order. Gate held. Answers that were received before and are parsed
    /// after that find nobody: their requests are on their way elsewhere.
    /// </summary>
    public void TakeRequests(List<NbdRequest> requests)
    {
        CopyRequestsTo(requests);
        foreach (var slot in _slots)
        {
            slot.Request = null;
            slot.IsOnWire = false;
        }
    }

    /// <summary>Adds the requests in the slots, in no order. Gate held.</summary>
    public void CopyRequestsTo(List<NbdRequest> requests)
    {
        foreach (var slot in _slots)
        {
            if (slot.IsActive && slot.Request is { } request)
                requests.Add(request);
        }
    }

    public ReplySlot? Find(ulong cookie)
    {
        int index = (int)(cookie & ((1 << SlotBits) - 1));
        if (index >= _slots.Length)
            return null;
        var slot = _slots[index];
        return slot.IsOnWire && slot.Cookie == cookie ? slot : null;
    }

    public Memory<byte> Borrow(ReplySlot slot)
    {
        lock (Gate)
        {
            _borrowed = slot.Request;
            if (_borrowed is null)
                return default;
            _borrowed.Pins++;
            return _borrowed.Target;
        }
    }

    public void GiveBack(ReplySlot slot)
    {
        if (_borrowed is null)
            return;
        lock (Gate)
            Link.Unpin(_borrowed);
        _borrowed = null;
    }

    public void Finish(ReplySlot slot)
    {
        if (slot.Error == NbdErrno.Shutdown)
            throw new BackendException(BackendError.Disconnected, $"{_options.Name} is shutting down.");
        NbdRequest? request;
        Exception? failure = null;
        bool mayComplete = false;
        lock (Gate)
        {
            if (Failure is not null)
                throw Failure;
            request = slot.Request;
            if (request is null)
            {
                AbandonedCount--;
                if (slot.Command == NbdCommand.Flush && slot.Error != NbdErrno.Ok)
                    Link.NoteFailedFlush();
            }
            else
            {
                if (slot.Error != NbdErrno.Ok)
                    failure = Failed(request, slot);
                else
                    request.Extents?.AddRange(slot.Extents);
                mayComplete = Link.Settle(request, ref failure);
            }

            Free(slot);
            _wantsPump |= Link.Dispatch(this);
        }

        if (mayComplete)
            request!.Complete(failure);
    }

    private void Free(ReplySlot slot)
    {
        slot.Request = null;
        slot.IsActive = false;
        slot.IsOnWire = false;
        _sender.OnAnswered(slot);
        _free.Push(slot);
        if (_isRetired && ActiveCount == 0)
            _drained.TrySetResult();
    }

    private BackendException Failed(NbdRequest request, ReplySlot slot)
    {
        string what = request.Command == NbdCommand.Flush
            ? "Flush"
            : $"{request.Command} of {request.Length} bytes at {request.Offset}";
        string reason = Enum.IsDefined(slot.Error) ? $"{slot.Error}" : $"error {(uint)slot.Error}";
        return new BackendException(NbdFailure.FromErrno(slot.Error), $"{what} on {_options.Name} failed: {reason}{slot.ErrorText}.");
    }

    private void ReadReplies()
    {
        if (_start.Task.GetAwaiter().GetResult() is null)
        {
            _transport.Dispose();
            return;
        }

        BackendException failure;
        try
        {
            var replies = new ReplyReader(_wire, this, Export);
            while (true)
            {
                replies.ReadMessage();
                if (_wantsPump)
                {
                    _wantsPump = false;
                    Pump();
                }
            }
        }
        catch (BackendException error)
        {
            failure = error;
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException)
        {
            string how = error is EndOfStreamException ? "the server closed it" : error.Message.TrimEnd('.');
            failure = new BackendException(BackendError.Disconnected, $"The connection to {_options.Name} was lost: {how}.", error);
        }
        catch (Exception error)
        {
            failure = new BackendException(BackendError.InputOutput, $"The client of {_options.Name} failed: {error.Message}", error, isTransient: false);
        }

        Fail(failure);
        _sender.Join();
        _transport.Dispose();
        _ended.TrySetResult();
    }
}
