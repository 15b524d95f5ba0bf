using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// One connection in transmission: slots for the requests on the way, a thread that reads replies, and the sending of requests. Who submits
/// a request sends it himself, with all that others queued meanwhile, as long as what was not answered yet surely fits the socket's buffer;
/// else a sender thread does, so that no caller ever waits in a send. State is under the link's gate.
/// </summary>
internal sealed partial class ClientConnection
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
    private BackendException? _broken;
    private ulong _uses;
    private long _quietSince;
    private long _arrivalsSeen;
    private long _progressSeen;
    private bool _wantsPump;

    private ClientConnection(NbdTransport transport, ExportDescription export, NbdClientOptions options)
    {
        _transport = transport;
        _options = options;
        Export = export;
        _wire = new WireReader(transport);
        _slots = new ReplySlot[options.RequestsPerConnection];
        _free = new Stack<ReplySlot>(_slots.Length);
        for (int i = _slots.Length - 1; i >= 0; i--)
            _free.Push(_slots[i] = new ReplySlot(i));
        _sender = new RequestSender(this, transport, export.ExtendedHeaders, _slots.Length);
    }

    public ExportDescription Export { get; }

    /// <summary>Slots in use, those of callers who gave up included.</summary>
    public int ActiveCount => _slots.Length - _free.Count;

    public bool HasRoom => _free.Count > 0 && !IsRetired && !IsLost;

    /// <summary>Why the connection is no good any more, or null.</summary>
    public BackendException? Failure { get; private set; }

    /// <summary>Whether it failed, or was ended and is about to fail.</summary>
    public bool IsLost => Failure is not null || _broken is not null;

    /// <summary>Whether it takes no more requests.</summary>
    public bool IsRetired { get; private set; }

    /// <summary>Requests that wait for a place in this connection and no other. Gate held.</summary>
    public RequestQueue Waiting { get; } = new();

    /// <summary>The number of the last change that was acknowledged over this connection. Gate held.</summary>
    public long LastChange { get; set; }

    /// <summary>The changes that flushes over this connection have made durable: all that it acknowledged up to this number. Gate held.</summary>
    public long FlushedTo { get; set; }

    /// <summary>Whether it acknowledged changes that no flush over it has followed. Gate held.</summary>
    public bool IsDirty => LastChange > FlushedTo;

    /// <summary>Completes when a retired connection has nothing on the way any more, or failed.</summary>
    public Task Drained => _drained.Task;

    /// <summary>Completes when no thread uses the connection any more and the stream is closed.</summary>
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
                    opened.TrySetException(error);
                    return;
                }

                if (!opened.TrySetResult(connection))
                    connection.Discard();
                connection.ReadReplies();
            })
        {
            IsBackground = true,
            Name = "nbd replies",
        };
        thread.Start();
        return NbdOpening.WaitAsync(opened, options, cancellationToken);
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
        if (ActiveCount == 0)
            NoteSign(_options.Clock.GetTimestamp());
        var slot = _free.Pop();
        slot.Begin(request.Command, request.Offset, request.Length, request.ExtentLimit, request.MapName);
        slot.IsActive = true;
        slot.Cookie = (++_uses << SlotBits) | (uint)slot.Index;
        slot.Request = request;
        slot.SendCost = RequestSender.CostOf(request);
        request.Place = RequestPlace.Sent;
        request.Connection = this;
        request.Slot = slot;
        return _sender.Enqueue(slot);
    }

    /// <summary>Sends what is queued. Only for who was told to by <see cref="Assign"/>.</summary>
    public void Pump() => _sender.Pump();

    /// <summary>
    /// Takes the caller out of a slot, after which his buffer is not touched. Gate held. The slot stays in use until its reply was read past,
    /// unless nothing was sent.
    /// </summary>
    public void Abandon(ReplySlot slot)
    {
        _sender.Detach(slot);
        lock (_delivery)
            slot.Request = null;
    }

    /// <summary>Frees a slot whose request was given up before it was sent, for the next who waits. Gate held, by the sender.</summary>
    internal void FreeUnsent(ReplySlot slot)
    {
        slot.SendCost = 0;
        Free(slot);
        Link.Dispatch(this);
    }

    /// <summary>Takes no more requests. Gate held.</summary>
    public void Retire()
    {
        IsRetired = true;
        if (ActiveCount == 0 || Failure is not null)
            _drained.TrySetResult();
    }

    /// <summary>Whether a request that changes bytes is on the way, a caller waiting for it or not. Gate held.</summary>
    public bool HasChangesUnderWay
        => Array.Exists(_slots, static s => s.IsActive && s.Command is NbdCommand.Write or NbdCommand.WriteZeroes or NbdCommand.Trim);

    /// <summary>
    /// Whether answers are due and the peer gave no sign of life for <paramref name="limit"/> ticks: nothing came, and nothing that waits to be sent
    /// was taken. Gate held, by the timer.
    /// </summary>
    public bool IsSilent(long now, long limit)
    {
        bool sends = _sender.IsSending && _sender.Progress != _progressSeen;
        if (ActiveCount == 0 || sends || _wire.Arrivals != _arrivalsSeen)
            NoteSign(now);
        _progressSeen = _sender.Progress;
        return now - _quietSince > limit;
    }

    /// <summary>Says good-bye to the server: after what is queued, DISC is sent. Then the server closes the connection, or <see cref="Break"/> does.</summary>
    public void Disconnect() => _sender.Disconnect();

    /// <summary>Ends the connection at once; the reading thread finds out and fails it, with this reason. The first reason counts. Not under the gate.</summary>
    public void Break(BackendException reason)
    {
        lock (Gate)
            _broken ??= reason;
        _transport.Abort();
    }

    /// <summary>
    /// Takes the requests out of the slots of a failed connection, in no order. Gate held, by the reading thread.
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

    private void Free(ReplySlot slot)
    {
        _sender.Detach(slot);
        slot.Request = null;
        slot.IsActive = false;
        slot.IsOnWire = false;
        _sender.OnAnswered(slot);
        _free.Push(slot);
        if (IsRetired && ActiveCount == 0)
            _drained.TrySetResult();
    }

    private void NoteSign(long now)
    {
        _quietSince = now;
        _arrivalsSeen = _wire.Arrivals;
    }
}
