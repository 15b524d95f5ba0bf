using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>
/// Serves WRITE: a short payload is written from the block that it was received in, unless the backend has shown that it takes its time: that
/// would keep the whole block for it. A long one goes from the line straight into the store where the backend opens its memory, and else is
/// written piece by piece, as is all that is slow. The connection's thread only.
/// </summary>
internal sealed class WriteHandler
{
    private readonly RequestReader _reader;
    private readonly Replies _replies;
    private readonly FlightBuffers _buffers;
    private readonly OperationContext _context;
    private readonly ServedExport _export;
    private readonly IBackend _backend;
    private readonly IInPlaceWriter? _inPlace;
    private readonly CancellationToken _cancelled;

    public WriteHandler(RequestReader reader, Replies replies, FlightBuffers buffers, OperationContext context)
    {
        _reader = reader;
        _replies = replies;
        _buffers = buffers;
        _context = context;
        _export = context.Export;
        _backend = context.Backend;
        _inPlace = _export.InPlaceWriter;
        _cancelled = context.Cancelled;
    }

    /// <summary>Serves a WRITE that the rules allow, taking its payload; false where the line ends before that.</summary>
    public bool TryWrite(in RequestHeader request)
    {
        int length = (int)request.Length;
        if (length <= RequestReader.LargestInBlock && length <= _export.PieceBytes)
            return _export.WritesComeLate ? TryWriteInPieces(request, (long)request.Offset) : TryWriteFromBlock(request);
        bool complete = _inPlace is null ? TryWriteInPieces(request, (long)request.Offset) : TryWriteInPlace(request, _inPlace);
        _reader.ExpectHeader();
        return complete;
    }

    private bool TryWriteInPlace(in RequestHeader request, IInPlaceWriter store)
    {
        long offset = (long)request.Offset;
        int left = (int)request.Length;
        while (left > 0)
        {
            OpenMemory open;
            try
            {
                if (!store.TryOpen(offset, left, out open))
                    return TryWriteInPieces(request, offset);
            }
            catch (Exception error)
            {
                var fault = _context.Explain(error, request, offset);
                if (!_reader.TrySkip((ulong)left))
                    return false;
                _replies.BatchFault(request, fault);
                return true;
            }

            bool complete = _reader.TryReadInto(open.Memory.Span);
            offset += open.Memory.Length;
            left -= open.Memory.Length;
            open.Dispose();
            if (!complete)
                return false;
        }

        Complete(request);
        return true;
    }

    /// <summary>Replies to a write whose bytes are with the backend, or flushes first.</summary>
    private void Complete(in RequestHeader request)
    {
        if ((request.Flags & NbdCommandFlags.Fua) != 0)
            _context.Start(OperationKind.Flush, request, 0);
        else
            _replies.BatchSuccess(request);
    }

    private bool TryWriteFromBlock(in RequestHeader request)
    {
        int length = (int)request.Length;
        if (!_reader.TryBuffer(length, withinMessage: true))
            return false;
        var block = _reader.Block;
        int position = _reader.Position;
        _reader.Consume(length);
        ValueTask task;
        try
        {
            task = length == 0 ? default : _backend.WriteAsync((long)request.Offset, block.Array.AsMemory(position, length), _cancelled);
            if (task.IsCompleted)
            {
                task.GetAwaiter().GetResult();
                Complete(request);
                return true;
            }
        }
        catch (Exception error)
        {
            _replies.BatchFault(request, _context.Explain(error, request, (long)request.Offset));
            return true;
        }

        _export.NoteLateWrite();
        var operation = _context.Rent();
        operation.Begin(OperationKind.Write, request, (long)request.Offset, length);
        block.AddReference();
        operation.SetBuffer(block, position);
        operation.RunFrom(task);
        return true;
    }

    /// <summary>
    /// Writes each piece once it has come, while the next one is received: so a client that does not go on holds one piece of memory at most,
    /// and no request holds more than its own bytes.
    /// </summary>
    private bool TryWriteInPieces(in RequestHeader request, long offset)
    {
        var join = _context.Rent();
        join.Begin(OperationKind.Join, request, (long)request.Offset, 0);
        long end = (long)request.Offset + (long)request.Length;
        bool complete = true;
        while (complete && offset < end)
        {
            int count = _export.PieceAt(offset, end);
            if (!_buffers.TryRent(count, out var buffer, out var failure))
            {
                // The rest of the payload is still to be taken where the connection goes on.
                join.Abandon(failure);
                complete = failure is not null && _reader.TrySkip((ulong)(end - offset));
                break;
            }

            complete = _reader.TryReadInto(buffer.Array.AsSpan(0, count));
            if (!complete)
            {
                buffer.Release();
                break;
            }

            var piece = _context.Rent();
            piece.BeginPiece(OperationKind.Write, join, offset, count);
            piece.SetBuffer(buffer, 0);
            piece.Run();
            offset += count;
        }

        if (!complete)
            join.Abandon();
        join.ReleaseHold();
        return complete;
    }
}
