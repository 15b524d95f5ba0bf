namespace Farspan.Mounts.Remotes;

/// <summary>
/// How many bytes of one direction are in flight at once. It looks for the point where the line is full and nothing queues: the highest rate seen
/// times the shortest time seen, almost three times that while more brings more, later a little over it. Thread-safe.
/// </summary>
/// <remarks>The idea is that of the BBR congestion control, on whole requests: see docs/decisions/0063.</remarks>
internal sealed class TransferWindow
{
    private const int RoundsPerProbe = 8;
    private const int RoundsOfRate = 10;
    private const long First = 512 << 10;
    private const double GainAtFirst = 2.9;
    private const double BackgroundShare = 2 / 3.0;

    /// <summary>So many answers in a row that took twice the shortest time: the line is full. One alone may be chance.</summary>
    private const int SlowAnswers = 4;
    private static readonly TimeSpan LatencyMemory = TimeSpan.FromSeconds(10);

    /// <summary>What may always be in flight takes the line no longer than this: a reader's request may have to wait behind it.</summary>
    private static readonly TimeSpan LongestQueue = TimeSpan.FromMilliseconds(50);

    private readonly Lock _gate = new();
    private readonly TimeProvider _clock;
    private readonly long _unit;
    private readonly long _smallest;
    private readonly long _largest;
    private readonly int? _fixedRequests;
    private readonly double[] _rates = new double[RoundsOfRate];
    private long _inFlight;
    private int _requests;
    private long _delivered;
    private long _deliveredTime;
    private long _refusedAt = -1;
    private long _roundEnd;
    private int _round;
    private int _flatRounds;
    private double _bestRate;
    private bool _isStarting = true;
    private int _slowAnswers;
    private TimeSpan _latency = TimeSpan.MaxValue;
    private long _latencyTime;
    private long? _drainedAt;
    private long _limit;
    private long _least;

    /// <param name="clock">The clock.</param>
    /// <param name="unit">Bytes of the smallest request of those that fill the line.</param>
    /// <param name="smallest">Bytes that may be in flight on a line that takes them in a moment, however short it is.</param>
    /// <param name="largest">Bytes that are never exceeded, but by one request.</param>
    /// <param name="fixedRequests">The number of requests, where it does not adapt.</param>
    public TransferWindow(TimeProvider clock, long unit, long smallest, long largest, int? fixedRequests = null)
    {
        _clock = clock;
        _unit = Math.Min(unit, largest / 2);
        _smallest = Math.Min(smallest, largest);
        _largest = largest;
        _fixedRequests = fixedRequests;
        _limit = Math.Min(_smallest, First);
        _deliveredTime = clock.GetTimestamp();
    }

    /// <summary>Bytes that may be in flight.</summary>
    public long Limit => Volatile.Read(ref _limit);

    public long InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Bytes that arrived in all.</summary>
    public long Delivered => Volatile.Read(ref _delivered);

    /// <summary>Bytes a second, the best of late; 0 before the first.</summary>
    public double Rate => Volatile.Read(ref _bestRate);

    /// <summary>Whether another request of at most <paramref name="bytes"/> fits; one always does.</summary>
    public bool HasRoom(long bytes) => HasRoom(bytes, 1);

    /// <summary>The same for what nobody waits for: with two thirds of the window the line is full, and no more of it waits in front of a reader.</summary>
    public bool HasRoomInBackground(long bytes) => HasRoom(bytes, BackgroundShare);

    private bool HasRoom(long bytes, double share)
    {
        lock (_gate)
        {
            bool fits = _requests == 0
                || (_fixedRequests is { } most ? _requests < most && _inFlight + bytes <= _largest : _inFlight + bytes <= Math.Max(_limit * share, _least));
            if (!fits)
                _refusedAt = _delivered;
            return fits;
        }
    }

    /// <summary>A request goes out, perhaps smaller than what was asked for.</summary>
    public TransferTicket Begin(long bytes)
    {
        lock (_gate)
        {
            long now = _clock.GetTimestamp();

            // An idle line delivers nothing: the time before this request says nothing of its rate.
            if (_requests == 0)
                _deliveredTime = now;
            _requests++;
            _inFlight += bytes;
            return new TransferTicket(bytes, now, _delivered, _deliveredTime);
        }
    }

    /// <summary>A request was answered, or failed.</summary>
    public void End(in TransferTicket ticket, bool isDelivered)
    {
        lock (_gate)
        {
            _requests--;
            _inFlight -= ticket.Bytes;
            if (!isDelivered)
                return;
            bool wasFull = _refusedAt >= ticket.DeliveredAtSend;
            long now = _clock.GetTimestamp();
            _delivered += ticket.Bytes;
            _deliveredTime = now;
            var latency = _clock.GetElapsedTime(ticket.SentAt, now);
            bool isMeasured = ticket.DeliveredAtSend >= _drainedAt;
            if (latency <= _latency || isMeasured)
            {
                _latency = latency;
                _latencyTime = now;
                _drainedAt = null;
            }
            else if (_drainedAt is null && _clock.GetElapsedTime(_latencyTime, now) > LatencyMemory)
            {
                // Not what a full window shows now: that is the queue, and the window would grow by it each time.
                _drainedAt = _delivered + _inFlight;
                _limit = _least = 0;
            }

            double seconds = _clock.GetElapsedTime(ticket.DeliveredTime, now).TotalSeconds;
            double rate = seconds > 0 ? (_delivered - ticket.DeliveredAtSend) / seconds : 0;

            // Where there was not enough to send, the rate is a lower bound of what the line can do.
            if (wasFull || rate > _bestRate)
                _rates[_round % RoundsOfRate] = Math.Max(_rates[_round % RoundsOfRate], rate);

            // What goes out beyond a full line only stands in front of what a reader asks for next.
            _slowAnswers = latency > _latency * 2 ? _slowAnswers + 1 : 0;
            bool isQuick = latency < _latency * 1.5;
            if (_isStarting && wasFull && isQuick && _drainedAt is null)
                _limit = Math.Min(_limit + ticket.Bytes, _largest);
            if (_isStarting && _slowAnswers == SlowAnswers)
            {
                _isStarting = false;
                _roundEnd = ticket.DeliveredAtSend;
            }

            if (isMeasured || (ticket.DeliveredAtSend >= _roundEnd && _drainedAt is null))
                EndRound(wasFull || isMeasured, isQuick);
        }
    }

    private void EndRound(bool wasFull, bool isQuick)
    {
        _roundEnd = _delivered;
        double before = _bestRate;
        _bestRate = _rates.Max();
        if (!wasFull)
            return;
        if (_isStarting)
        {
            _flatRounds = _bestRate < before * 1.25 ? _flatRounds + 1 : 0;
            _isStarting = _flatRounds < 3;
        }

        _round++;
        _rates[_round % RoundsOfRate] = 0;
        double gain = _isStarting ? GainAtFirst : _round % RoundsPerProbe == 0 ? 2.5 : 1.5;

        // At least two requests: one is on its way while the answer to the other comes back.
        _least = (long)Math.Max(2 * _unit, Math.Min(_smallest, _bestRate * LongestQueue.TotalSeconds));
        double least = _least;

        // While no queue shows, the window is what bounds the rate, which is then too low to reckon with: answers come late at first.
        if (_isStarting && isQuick)
            least = Math.Max(least, _limit);
        _limit = (long)Math.Clamp(_bestRate * _latency.TotalSeconds * gain, Math.Min(least, _largest), _largest);
    }
}
