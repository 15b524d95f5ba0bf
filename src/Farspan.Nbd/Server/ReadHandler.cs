using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>
/// Serves READ: from lent bytes where they are at hand, else from the store; with holes told as such where the client may be told and the
/// backend knows them at once. The connection's thread only.
/// </summary>
internal sealed class ReadHandler
{
    /// <summary>Reads from this size on ask for holes first, where the client can be told of them.</summary>
    private const int LeastHoleSearch = 64 << 10;

    private const int LargestSegmentCount = 256;

    private readonly Outbox _outbox;
    private readonly Replies _replies;
    private readonly FlightBuffers _buffers;
    private readonly OperationContext _context;
    private readonly ServedExport _export;
    private readonly IMemoryLender? _lender;
    private readonly CancellationToken _cancelled;
    private List<Extent> _segments = [];

    public ReadHandler(Outbox outbox, Replies replies, FlightBuffers buffers, OperationContext context)
    {
        _outbox = outbox;
        _replies = replies;
        _buffers = buffers;
        _context = context;
        _export = context.Export;
        _lender = _export.Lender;
        _cancelled = context.Cancelled;
    }

    /// <summary>Serves a READ that the rules allow.</summary>
    public void Read(in RequestHeader request)
    {
        int length = (int)request.Length;
        long offset = (long)request.Offset;
        if (length == 0)
        {
            _replies.BatchSuccess(request);
            return;
        }

        bool mayFragment = _replies.Mode != HeaderMode.Simple && (request.Flags & NbdCommandFlags.Df) == 0;
        if (mayFragment && length >= LeastHoleSearch && TryFindHoles(offset, length))
        {
            ReadInChunks(request, _segments);
            return;
        }

        LentMemory lent = default;
        try
        {
            if (_lender is not null && _lender.TryLend(offset, length, out lent) && lent.Memory.Length == length)
            {
                ReadLent(request, lent);
                return;
            }
        }
        catch (Exception error)
        {
            _replies.BatchFault(request, _context.Explain(error, request, offset));
            return;
        }

        lent.Dispose();
        if (mayFragment && length > _export.PieceBytes)
        {
            _segments.Clear();
            _segments.Add(new Extent(offset, length, ExtentKind.Data));
            ReadInChunks(request, _segments);
        }
        else
        {
            ReadWhole(request, offset, length);
        }
    }

    private void ReadLent(in RequestHeader request, LentMemory lent)
    {
        if (lent.Memory.Length > Outbox.LargestCopy)
        {
            _replies.SendLent(request, (long)request.Offset, lent, isWhole: true);
            return;
        }

        _replies.BatchData(request, lent.Memory.Span);
        lent.Dispose();
    }

    /// <summary>Reads into one buffer, a long read by concurrent pieces, and replies when all of it is there.</summary>
    private void ReadWhole(in RequestHeader request, long offset, int length)
    {
        var whole = _context.Rent();
        bool inPieces = length > _export.PieceBytes;
        whole.Begin(inPieces ? OperationKind.Join : OperationKind.Read, request, offset, length);
        if (!_buffers.TryRent(length, out var buffer, out var failure))
        {
            whole.Abandon(failure);
            whole.ReleaseHold();
            return;
        }

        whole.SetBuffer(buffer, 0);
        if (!inPieces)
        {
            whole.Run();
            return;
        }

        long end = offset + length;
        for (long at = offset; at < end;)
        {
            int count = _export.PieceAt(at, end);
            var piece = _context.Rent();
            piece.BeginPiece(OperationKind.Read, whole, at, count);
            buffer.AddReference();
            piece.SetBuffer(buffer, (int)(at - offset));
            piece.Run();
            at += count;
        }

        whole.ReleaseHold();
    }

    /// <summary>Replies with a chunk for each hole and each piece of data, in whatever order they come, and an end.</summary>
    private void ReadInChunks(in RequestHeader request, List<Extent> segments)
    {
        var join = _context.Rent();
        join.Begin(OperationKind.Join, request, (long)request.Offset, (long)request.Length);
        foreach (var segment in segments)
        {
            if ((segment.Kind & ExtentKind.Zero) != 0)
                _replies.BatchHole(request, segment.Offset, segment.Length);
            else if (!TryReadSegment(request, join, segment))
                break;
        }

        // The end of the reply may come from another thread as soon as we let go: what is before it must be on its way.
        if (join.HasPieces)
            _outbox.Flush();
        join.ReleaseHold();
    }

    private bool TryReadSegment(in RequestHeader request, Operation join, Extent segment)
    {
        long end = segment.Offset + segment.Length;
        for (long at = segment.Offset; at < end;)
        {
            int count = _export.PieceAt(at, end);
            if (TryLendChunk(request, at, count, out int lentLength))
            {
                at += lentLength;
                continue;
            }

            if (!_buffers.TryRent(count, out var buffer, out var failure))
            {
                join.Abandon(failure);
                return false;
            }

            var piece = _context.Rent();
            piece.BeginPiece(OperationKind.Read, join, at, count);
            piece.SetBuffer(buffer, 0);
            piece.Run();
            at += count;
        }

        return true;
    }

    private bool TryLendChunk(in RequestHeader request, long offset, int length, out int lentLength)
    {
        lentLength = 0;
        try
        {
            if (_lender is null || !_lender.TryLend(offset, length, out var lent))
                return false;
            lentLength = lent.Memory.Length;
            _replies.SendLent(request, offset, lent, isWhole: false);
            return true;
        }
        catch (Exception)
        {
            // Reading says what is wrong.
            return false;
        }
    }

    /// <summary>Whether the range has holes that are known at once; <see cref="_segments"/> then covers it.</summary>
    private bool TryFindHoles(long offset, int length)
    {
        if (!_export.ReadsFindHoles)
            return false;
        var found = _segments;
        found.Clear();
        try
        {
            var task = _export.Extents!.ListExtentsAsync(offset, length, LargestSegmentCount, found, _cancelled);
            if (!task.IsCompleted)
            {
                // The list belongs to the backend now; it is dropped.
                _export.NoteSlowExtents();
                _segments = [];
                DropAsync(task);
                return false;
            }

            task.GetAwaiter().GetResult();
        }
        catch (Exception)
        {
            // Reading says what is wrong.
            return false;
        }

        long at = offset;
        bool holes = false;
        foreach (var extent in found)
        {
            if (extent.Offset != at || extent.Length <= 0 || extent.Length > offset + length - at)
                return false;
            holes |= (extent.Kind & ExtentKind.Zero) != 0;
            at += extent.Length;
        }

        if (holes && at < offset + length)
            found.Add(new Extent(at, offset + length - at, ExtentKind.Data));
        return holes;
    }

    private static void DropAsync(ValueTask task)
        => _ = task.AsTask().ContinueWith(
            static t => _ = t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
}
