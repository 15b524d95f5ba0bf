namespace Farspan.Nbd.Server;

/// <summary>Messages in the order of their posting, and spare ones. Safe for all threads.</summary>
internal sealed class OutgoingQueue
{
    private readonly Lock _gate = new();
    private Outgoing? _first;
    private Outgoing? _last;
    private Outgoing? _spare;
    private volatile bool _closed;

    public bool IsEmpty => Volatile.Read(ref _first) is null;

    public Outgoing Rent()
    {
        lock (_gate)
        {
            if (_spare is { } spare)
            {
                _spare = spare.Next;
                spare.Next = null;
                return spare;
            }
        }

        return new Outgoing();
    }

    /// <summary>Adds at the end; false after <see cref="Close"/>, when the caller keeps the message.</summary>
    public bool TryAdd(Outgoing message)
    {
        lock (_gate)
        {
            if (_closed)
                return false;
            if (_last is null)
                _first = message;
            else
                _last.Next = message;
            _last = message;
            return true;
        }
    }

    /// <summary>Takes the first message where it is no longer than <paramref name="limit"/>.</summary>
    public Outgoing? TryTake(int limit)
    {
        lock (_gate)
        {
            if (_first is not { } first || first.Length > limit)
                return null;
            _first = first.Next;
            if (_first is null)
                _last = null;
            first.Next = null;
            return first;
        }
    }

    /// <summary>Keeps a cleared message for reuse. There are never more than were in flight at once.</summary>
    public void Return(Outgoing message)
    {
        lock (_gate)
        {
            message.Next = _spare;
            _spare = message;
        }
    }

    /// <summary>Refuses every later message.</summary>
    public void Close()
    {
        lock (_gate)
            _closed = true;
    }
}
