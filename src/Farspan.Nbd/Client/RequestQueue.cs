namespace Farspan.Nbd.Client;

/// <summary>Requests that wait for a place, in the order of their calls. Each is one waiting caller, so the callers bound its length. Not thread-safe.</summary>
internal sealed class RequestQueue
{
    private NbdRequest? _first;
    private NbdRequest? _last;

    public NbdRequest? First => _first;

    public bool IsEmpty => _first is null;

    /// <summary>Puts a request behind all that were called before it.</summary>
    public void Insert(NbdRequest request)
    {
        request.Queue = this;
        var before = _last;
        while (before is not null && before.Sequence > request.Sequence)
            before = before.Previous;
        request.Previous = before;
        request.Next = before is null ? _first : before.Next;
        if (request.Next is null)
            _last = request;
        else
            request.Next.Previous = request;
        if (before is null)
            _first = request;
        else
            before.Next = request;
    }

    public void Remove(NbdRequest request)
    {
        if (request.Previous is null)
            _first = request.Next;
        else
            request.Previous.Next = request.Next;
        if (request.Next is null)
            _last = request.Previous;
        else
            request.Next.Previous = request.Previous;
        request.Next = request.Previous = null;
        request.Queue = null;
    }
}
