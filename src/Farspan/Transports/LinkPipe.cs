using System.Buffers;
using Farspan.Waiting;

namespace Farspan.Transports;

/// <summary>
/// Bytes on their way through one direction of a line: taken in as far as there is room, given out when they are due. One writer, one reader.
/// </summary>
internal sealed class LinkPipe : IDisposable
{
    // What a segment costs beyond its bytes, so that many small writes are bounded as well.
    private const int SegmentOverhead = 64;
    private const int UnlimitedRoom = 32 << 20;

    private readonly Lock _gate = new();
    private readonly LinkModel _link;
    private readonly LinkDirection _direction;
    private readonly Queue<Segment> _segments = new();
    private readonly CancellationTokenSource _aborted = new();
    private readonly int _segmentSize;
    private readonly long _room;
    private Signal? _moreData;
    private Signal? _moreRoom;
    private long _inFlight;
    private int _headTaken;
    private bool _isComplete;
    private Exception? _failure;
    private TimeSpan _lastDue;

    public LinkPipe(LinkModel link, LinkDirection direction)
    {
        _link = link;
        _direction = direction;
        _room = direction.Capacity is { } capacity ? capacity + link.Options.QueueSize : UnlimitedRoom;

        // About half a millisecond of the line: what is written at once arrives bit by bit, not when the last of it does.
        _segmentSize = (int)Math.Clamp((direction.Rate ?? long.MaxValue) / 16_000, 1460, 64 << 10);
    }

    /// <summary>When the last byte that was taken in is due.</summary>
    public TimeSpan LastDue
    {
        get
        {
            lock (_gate)
                return _lastDue;
        }
    }

    /// <summary>Takes in as much as there is room for; returns how much.</summary>
    /// <exception cref="IOException">The far side failed, or the pipe was ended.</exception>
    public int TryWrite(ReadOnlySpan<byte> source)
    {
        Signal? moreData;
        int written = 0;
        lock (_gate)
        {
            ThrowIfEnded();
            while (written < source.Length && _inFlight < _room)
            {
                int count = (int)Math.Min(Math.Min(source.Length - written, _segmentSize), Math.Max(1, _room - _inFlight));
                byte[] bytes = ArrayPool<byte>.Shared.Rent(count);
                source.Slice(written, count).CopyTo(bytes);
                _lastDue = _direction.Send(_link.Now, count);
                _segments.Enqueue(new Segment(bytes, count, _lastDue));
                _inFlight += count + SegmentOverhead;
                written += count;
            }

            moreData = Take(ref _moreData);
        }

        moreData?.Set();
        return written;
    }

    /// <summary>Returns once something can be taken in.</summary>
    public async ValueTask WaitForRoomAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Signal more;
            lock (_gate)
            {
                ThrowIfEnded();
                if (_inFlight < _room)
                    return;
                more = _moreRoom ??= new Signal();
            }

            await more.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Gives out what is due, or the end; false where the caller has to wait.</summary>
    public bool TryRead(Span<byte> target, out int count)
    {
        Signal? moreRoom = null;
        count = 0;
        lock (_gate)
        {
            if (_segments.Count == 0 && _failure is not null)
                throw new IOException(_failure.Message, _failure);
            if (_segments.Count == 0 && _isComplete)
                return true;
            var now = _link.Now;
            while (count < target.Length && _segments.TryPeek(out var segment) && segment.Due <= now)
            {
                int part = Math.Min(target.Length - count, segment.Length - _headTaken);
                segment.Bytes.AsSpan(_headTaken, part).CopyTo(target[count..]);
                count += part;
                _headTaken += part;
                if (_headTaken < segment.Length)
                    break;
                Drop();
            }

            if (_inFlight < _room)
                moreRoom = Take(ref _moreRoom);
        }

        moreRoom?.Set();
        return count > 0;
    }

    /// <summary>Returns once something is due, or the end has come.</summary>
    public async ValueTask WaitForDataAsync(CancellationToken cancellationToken)
    {
        using var either = cancellationToken.CanBeCanceled ? CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _aborted.Token) : null;
        var stop = either?.Token ?? _aborted.Token;
        try
        {
            while (true)
            {
                Signal? more = null;
                TimeSpan due = default;
                lock (_gate)
                {
                    if (_segments.TryPeek(out var segment))
                        due = segment.Due;
                    else if (_isComplete || _failure is not null)
                        return;
                    else
                        more = _moreData ??= new Signal();
                }

                if (more is not null)
                {
                    await more.WaitAsync(stop);
                    continue;
                }

                await _link.WaitUntilAsync(due, stop);
                return;
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Aborted: the next look finds out.
        }
    }

    /// <summary>Nothing more is taken in; what is on its way still arrives, then the end, or <paramref name="failure"/>.</summary>
    public void Complete(Exception? failure = null)
    {
        lock (_gate)
        {
            if (_isComplete)
                return;
            _isComplete = true;
            _failure = failure;
        }

        Wake();
    }

    /// <summary>Ends everything at once; what was on its way is lost.</summary>
    public void Abort(Exception failure)
    {
        lock (_gate)
        {
            _isComplete = true;
            _failure ??= failure;
            while (_segments.Count > 0)
                Drop();
        }

        Wake();
        _aborted.Cancel();
    }

    public void Dispose() => _aborted.Dispose();

    private static Signal? Take(ref Signal? signal)
    {
        var taken = signal;
        signal = null;
        return taken;
    }

    private void Wake()
    {
        Signal? moreData;
        Signal? moreRoom;
        lock (_gate)
        {
            moreData = Take(ref _moreData);
            moreRoom = Take(ref _moreRoom);
        }

        moreData?.Set();
        moreRoom?.Set();
    }

    private void Drop()
    {
        var segment = _segments.Dequeue();
        ArrayPool<byte>.Shared.Return(segment.Bytes);
        _inFlight -= segment.Length + SegmentOverhead;
        _headTaken = 0;
    }

    private void ThrowIfEnded()
    {
        if (_failure is not null)
            throw new IOException(_failure.Message, _failure);
        if (_isComplete)
            throw new IOException("This direction of the line was shut down.");
    }

    private readonly record struct Segment(byte[] Bytes, int Length, TimeSpan Due);
}
