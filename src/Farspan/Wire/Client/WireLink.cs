using Farspan.Backends;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>
/// The requests of a client over all its connections. They are lost together: when one fails, all are closed, what was on the way waits, and
/// the supervisor makes new ones. Its fields are under <see cref="Gate"/>.
/// </summary>
internal sealed partial class WireLink(FarspanClientOptions options, ServerHello hello, Guid session)
{
    private const int LongestPool = 1024;

    private readonly LinkedList<WireRequest> _waiting = new();
    private readonly LinkedList<WireRequest> _roomWaiting = new();
    private readonly Stack<WireRequest> _spare = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private IReadOnlyList<WireLane> _lanes = [];
    private BackendException? _loss;
    private BackendException? _lostWrites;
    private long _lossTime;
    private long _live;
    private bool _isUp;
    private bool _isClosing;
    private bool _isMakingRoom;

    public Lock Gate { get; } = new();

    public FarspanClientOptions Options { get; } = options;

    /// <summary>What the server said of the export first.</summary>
    public ServerHello Hello { get; } = hello;

    /// <summary>Whether payloads have checksums.</summary>
    public bool HasChecksums { get; } = (hello.Capabilities & WireCapabilities.PayloadChecksums) != 0;

    public Guid Session { get; } = session;

    public ReplayLog Log { get; } = new(options.UnflushedBudget);

    /// <summary>The lease that is held; for losing it.</summary>
    public FarspanLease? Lease { get; set; }

    /// <summary>Told of a loss, once for each time the link was up.</summary>
    public Action? Lost { get; set; }

    /// <summary>Completes once the link closes and no request is left.</summary>
    public Task Idle => _idle.Task;

    public WireRequest Rent()
    {
        lock (Gate)
            return _spare.TryPop(out var spare) ? spare : new WireRequest(this);
    }

    public void Return(WireRequest request)
    {
        lock (Gate)
        {
            if (_spare.Count < LongestPool)
                _spare.Push(request);
        }
    }

    /// <summary>Sends a request, or lets it wait for a connection.</summary>
    public ValueTask Submit(WireRequest request, CancellationToken cancellationToken)
    {
        WireLane? lane;
        var task = request.Task;
        lock (Gate)
        {
            if (request.Operation == WireOperation.Flush && _lostWrites is not null)
                throw _lostWrites;
            Admit(request);
            request.Mark = Log.Mark;
            lane = Dispatch(request);
        }

        request.Watch(cancellationToken);
        lane?.Sender.Pump();
        return task;
    }

    /// <summary>Keeps a write and sends it, or lets it wait for room.</summary>
    public ValueTask SubmitWrite(WireRequest request, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        WireLane? lane = null;
        KeptWrite? kept = null;
        var task = request.Task;
        bool mustFlush;
        lock (Gate)
        {
            Admit(request);
            if (_roomWaiting.Count == 0 && Log.TryReserve(data.Length, out kept))
            {
                Keep(request, kept);
                kept.Pins++;
            }
            else
            {
                request.Source = data;
                _roomWaiting.AddLast(request.Node);
            }

            mustFlush = MustMakeRoom();
        }

        if (kept is not null)
        {
            Fill(kept, data.Span);
            lock (Gate)
            {
                kept.Pins--;
                lane = Dispatch(request);
            }
        }

        request.Watch(cancellationToken);
        lane?.Sender.Pump();
        if (mustFlush)
            _ = MakeRoomAsync();
        return task;
    }

    /// <summary>Sends a request on one connection only, which is not up yet, or for a sign of life.</summary>
    public ValueTask SubmitOn(WireLane lane, WireRequest request)
    {
        request.FailsOnLoss = true;
        var task = request.Task;
        bool mustPump = false;
        lock (Gate)
        {
            _live++;
            request.Deadline = DeadlineFromNow(request);
            if (lane.Failure is { } failure)
                DecideHeld(request, failure);
            else if (!lane.HasPlace)
                DecideHeld(request, new BackendException(BackendError.TimedOut, $"The connection to {Options.Name} has no place left."));
            else
                mustPump = lane.Enqueue(request);
        }

        if (mustPump)
            lane.Sender.Pump();
        return task;
    }

    /// <summary>Ends the wait of a request with a failure, once.</summary>
    public void Decide(WireRequest request, Exception failure)
    {
        lock (Gate)
            DecideHeld(request, failure);
    }

    /// <summary>The bytes of a write are no longer sent from. Gate held.</summary>
    public void Unpin(KeptWrite write)
    {
        write.Pins--;
        if (write.IsOver)
            Log.Collect();
    }

    /// <summary>The buffer of a read is no longer filled.</summary>
    public void Unpin(WireRequest request)
    {
        lock (Gate)
        {
            if (--request.Pins == 0 && request.IsDecided)
                Complete(request);
        }
    }

    /// <summary>A reply came whole.</summary>
    public void OnReply(WireSlot slot, in WireFrame reply, ReadOnlySpan<byte> payload)
    {
        var lane = slot.Lane;
        bool mustPump;
        bool mustFlush;
        List<WireLane>? others;
        lock (Gate)
        {
            if (slot.Request is { } request)
            {
                var failure = FailureOf(request, reply, payload);
                if (reply.Status == WireStatus.Fenced && Lease is { } lease && lease.Epoch == request.Epoch)
                    lease.MarkLost();
                DecideHeld(request, failure);
            }

            lane.Free(slot);
            mustPump = TakeWaiting(lane);
            others = _roomWaiting.Count == 0 ? null : ServeRoom();
            mustFlush = MustMakeRoom();
        }

        if (mustPump)
            lane.Sender.Pump();
        others?.ForEach(static other => other.Sender.Pump());
        if (mustFlush)
            _ = MakeRoomAsync();
    }

    /// <summary>A connection failed. Gate held.</summary>
    public void OnLost(WireLane lane, BackendException failure)
    {
        foreach (var slot in lane.Slots)
        {
            if (slot.Request is not { } request)
                continue;
            slot.Request = null;
            request.Slot = null;
            if (request.FailsOnLoss)
                DecideHeld(request, failure);
            else
                _waiting.AddLast(request.Node);
        }

        if (!_isUp || !_lanes.Contains(lane))
            return;
        _isUp = false;
        _loss = failure;
        _lossTime = Options.Clock.GetTimestamp();
        var others = _lanes;
        foreach (var other in others)
            other.Fail(failure);
        Lost?.Invoke();
    }

    /// <summary>New connections take what waits. False where one of them failed meanwhile.</summary>
    public bool TrySetUp(IReadOnlyList<WireLane> lanes)
    {
        var toPump = new HashSet<WireLane>();
        lock (Gate)
        {
            if (lanes.Any(static lane => lane.HasFailed))
                return false;
            _lanes = lanes;
            _isUp = true;
            _loss = null;
            foreach (var request in _waiting.Concat(_roomWaiting))
                request.Deadline = DeadlineFromNow(request);
            foreach (var lane in lanes)
            {
                if (TakeWaiting(lane))
                    toPump.Add(lane);
            }
        }

        foreach (var lane in toPump)
            lane.Sender.Pump();
        return true;
    }

    /// <summary>Acknowledged writes could not be given to a new server: every flush says so from now on.</summary>
    public void LoseWrites(BackendException failure)
    {
        lock (Gate)
        {
            _lostWrites ??= failure;
            Log.Release(long.MaxValue);
        }
    }

    /// <summary>Refuses further requests. What is on the way goes on.</summary>
    public IReadOnlyList<WireLane> BeginClose()
    {
        lock (Gate)
        {
            _isClosing = true;
            if (_live == 0)
                _idle.TrySetResult();
            return _lanes;
        }
    }

    /// <summary>Ends what waits for a connection or for room.</summary>
    public void FailWaiting(Exception failure)
    {
        lock (Gate)
        {
            foreach (var request in _waiting.Concat(_roomWaiting).ToList())
                DecideHeld(request, failure);
        }
    }
}
