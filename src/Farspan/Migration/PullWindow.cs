using Farspan.Mounts.Remotes;

namespace Farspan.Migration;

/// <summary>
/// How many bytes of a copy are on their way at once. It opens until answers take longer than they have to, closes to where nothing queues, and opens
/// again: so the line is full, what queues is bounded, and several that share a line see the same and end with equal parts of it. Thread-safe.
/// </summary>
/// <remarks>Additive increase, and decrease by the measured delay, on whole requests: see docs/decisions/0111.</remarks>
internal sealed class PullWindow
{
    private const int RoundsOfRate = 10;
    private const long First = 256 << 10;
    private const double BackgroundShare = 2 / 3.0;

    /// <summary>So many answers in a row that came too late end the start, in which the window doubles each round. One alone may be chance.</summary>
    private const int SlowAnswers = 4;

    /// <summary>By how much more the window grows in each round than in the one before.</summary>
    private const int Growth = 32 << 10;

    /// <summary>The part of the shortest time by which answers may take longer, and the least such time: an answer is late by some by itself.</summary>
    private const double Tolerance = 0.1;
    private static readonly TimeSpan LeastTolerance = TimeSpan.FromMilliseconds(8);

    /// <summary>Rounds in a row that were late, and for how long, before the window closes: a pause of a processor is shorter.</summary>
    private const int LateRounds = 2;
    private static readonly TimeSpan LateTime = TimeSpan.FromMilliseconds(50);

    /// <summary>How far it closes: a little under what the line holds, so that the queue empties and everybody sees what a request takes without it.</summary>
    private const double Closing = 0.9;
    private const double MostClosing = 0.5;

    /// <summary>The same at the end of the start: whoever comes late has not seen the line without the others' queue yet, and has just added to it.</summary>
    private const double FirstClosing = 0.5;
    private const double MostFirstClosing = 0.25;

    /// <summary>What may always be in flight takes the line no longer than this.</summary>
    private static readonly TimeSpan LeastQueue = TimeSpan.FromMilliseconds(8);

    /// <summary>After twice this the shortest time is forgotten: lines change, and every closing shows it anew.</summary>
    private static readonly TimeSpan HalfMemory = TimeSpan.FromSeconds(3);

    private readonly Lock _gate = new();
    private readonly TimeProvider _clock;
    private readonly long _unit;
    private readonly long _smallest;
    private readonly long _largest;
    private readonly double[] _rates = new double[RoundsOfRate];
    private long _inFlight;
    private int _requests;
    private long _delivered;
    private long _deliveredTime;
    private long _refusedAt = -1;
    private long _roundEnd;
    private int _round;
    private double _bestRate;
    private bool _isStarting = true;
    private int _slowAnswers;
    private TimeSpan _shortest = TimeSpan.MaxValue;
    private TimeSpan _shortestBefore = TimeSpan.MaxValue;
    private long _shortestSince;
    private TimeSpan _roundShortest = TimeSpan.MaxValue;
    private TimeSpan _lateShortest = TimeSpan.MaxValue;
    private int _goodRounds;
    private int _lateRounds;
    private long _goodUntil;
    private long _limit;

    /// <param name="clock">The clock.</param>
    /// <param name="unit">Bytes of the smallest request of those that fill the line.</param>
    /// <param name="smallest">Bytes that may be in flight on a line that takes them in a moment, however short it is.</param>
    /// <param name="largest">Bytes that are never exceeded, but by one request.</param>
    public PullWindow(TimeProvider clock, long unit, long smallest, long largest)
    {
        _clock = clock;
        _unit = Math.Min(unit, largest / 2);
        _smallest = Math.Min(smallest, largest);
        _largest = largest;
        _limit = Math.Min(_smallest, First);
        _deliveredTime = _shortestSince = _goodUntil = clock.GetTimestamp();
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

    /// <summary>The same for what nobody waits for: two thirds of the window, so that less of it waits in front of a reader.</summary>
    public bool HasRoomInBackground(long bytes) => HasRoom(bytes, BackgroundShare);

    private bool HasRoom(long bytes, double share)
    {
        lock (_gate)
        {
            bool fits = _requests == 0 || _inFlight + bytes <= Math.Max(_limit * share, 2 * _unit);
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
            Remember(latency, now);

            // Where there was not enough to send, the rate is a lower bound of what the line can do.
            double seconds = _clock.GetElapsedTime(ticket.DeliveredTime, now).TotalSeconds;
            double rate = seconds > 0 ? (_delivered - ticket.DeliveredAtSend) / seconds : 0;
            if (wasFull || rate > _bestRate)
                _rates[_round % RoundsOfRate] = Math.Max(_rates[_round % RoundsOfRate], rate);

            if (_isStarting)
            {
                bool isLate = IsLate(latency);
                _slowAnswers = isLate ? _slowAnswers + 1 : 0;
                if (wasFull && !isLate)
                    _limit = Math.Min(_limit + ticket.Bytes, _largest);
                if (_slowAnswers == SlowAnswers)
                {
                    _bestRate = _rates.Max();
                    Close(latency, now);
                    return;
                }
            }

            if (ticket.DeliveredAtSend >= _roundEnd)
                EndRound(wasFull, now);
        }
    }

    private TimeSpan Shortest => _shortest < _shortestBefore ? _shortest : _shortestBefore;

    private void Remember(TimeSpan latency, long now)
    {
        if (_clock.GetElapsedTime(_shortestSince, now) > HalfMemory)
        {
            (_shortestBefore, _shortest) = (_shortest, TimeSpan.MaxValue);
            _shortestSince = now;
        }

        _shortest = latency < _shortest ? latency : _shortest;
        _roundShortest = latency < _roundShortest ? latency : _roundShortest;
    }

    // Whoever has little of the line may be later: a request of theirs takes as long as several of others.
    private bool IsLate(TimeSpan latency)
    {
        double rate = _isStarting ? Math.Max(_bestRate, _rates.Max()) : _bestRate;
        double unit = rate > 0 ? _unit / rate : 1;
        var shortest = Shortest;
        return (latency - shortest).TotalSeconds > (shortest.TotalSeconds * Tolerance) + Math.Max(LeastTolerance.TotalSeconds, unit);
    }

    private void EndRound(bool wasFull, long now)
    {
        var shortest = _roundShortest;
        _roundShortest = TimeSpan.MaxValue;
        _roundEnd = _delivered;
        _bestRate = _rates.Max();
        if (!wasFull)
            return;
        _round++;
        _rates[_round % RoundsOfRate] = 0;
        if (IsLate(shortest))
        {
            _lateRounds++;
            _lateShortest = shortest < _lateShortest ? shortest : _lateShortest;
            if (_lateRounds >= LateRounds && _clock.GetElapsedTime(_goodUntil, now) > LateTime)
                Close(_lateShortest, now);
            return;
        }

        _lateRounds = 0;
        _lateShortest = TimeSpan.MaxValue;
        _goodUntil = now;
        if (!_isStarting)
            _limit = Math.Min(_limit + ((long)Growth * ++_goodRounds), _largest);
    }

    // What is in flight now tells nothing of the smaller window.
    private void Close(TimeSpan latency, long now)
    {
        double queued = Shortest / latency;
        double part = _isStarting ? Math.Clamp(FirstClosing * queued, MostFirstClosing, 1) : Math.Clamp(Closing * queued, MostClosing, 1);

        // At least two requests: one is on its way while the answer to the other comes back.
        double least = Math.Max(2 * _unit, Math.Min(_smallest, _bestRate * LeastQueue.TotalSeconds));
        _limit = (long)Math.Clamp(_limit * part, Math.Min(least, _largest), _largest);
        _isStarting = false;
        _goodRounds = _lateRounds = 0;
        _lateShortest = _roundShortest = TimeSpan.MaxValue;
        _goodUntil = now;
        _roundEnd = _delivered + _inFlight;
    }
}
