using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>
/// The transmission phase of one connection: receives requests, checks them, and starts them. What the backend has at hand is answered on the
/// spot; the rest goes on as <see cref="Operation"/>s while further requests come in. The connection's thread only.
/// </summary>
internal sealed class Transmission
{
    private const int LargestStatusPayload = 4 << 10;

    private readonly RequestReader _reader;
    private readonly Outbox _outbox;
    private readonly Replies _replies;
    private readonly FlightBuffers _buffers;
    private readonly ReadHandler _reads;
    private readonly Flight _flight;
    private readonly OperationContext _context;
    private readonly RequestRules _rules;
    private readonly ServedExport _export;
    private readonly IBackend _backend;
    private readonly IMemoryLender? _lender;
    private readonly CancellationToken _cancelled;
    private readonly bool _extended;
    private readonly int _headerSize;
    private readonly ulong _largestSkip;

    public Transmission(
        RequestReader reader, Outbox outbox, Replies replies, FlightBuffers buffers, OperationContext context, bool hasContexts)
    {
        _reader = reader;
        _outbox = outbox;
        _replies = replies;
        _buffers = buffers;
        _reads = new ReadHandler(outbox, replies, buffers, context);
        _context = context;
        _flight = context.Flight;
        _export = context.Export;
        _backend = _export.Backend;
        _lender = _export.Lender;
        _cancelled = context.Cancelled;
        _rules = new RequestRules(_export, replies.Mode, hasContexts);
        _extended = replies.Mode == HeaderMode.Extended;
        _headerSize = _extended ? RequestHeader.ExtendedSize : RequestHeader.CompactSize;
        _largestSkip = 4UL * _export.Sizes.Maximum;
    }

    /// <summary>Whether something was written that no flush has covered.</summary>
    public bool HasUnflushedWrites { get; private set; }

    /// <summary>Set by the server when it stops: every request is then answered with SHUTDOWN.</summary>
    public volatile bool ShuttingDown;

    /// <summary>Serves requests until the client says DISC (null) or the connection cannot go on (why).</summary>
    public string? Run()
    {
        while (true)
        {
            if (!_reader.TryBuffer(_headerSize, withinMessage: false))
                return _reader.Buffered == 0 ? "it closed the connection" : "the connection ended within a request";
            if (!RequestHeader.TryRead(_reader.BufferedBytes, _extended, out var request))
                return "it sent what is no request";
            _reader.Consume(_headerSize);
            if (request.Command == NbdCommand.Disconnect)
                return null;
            if (!_flight.HasRoomForOperation)
            {
                _outbox.Flush();
                if (!_flight.WaitForOperation())
                    return "the connection was ended";
            }

            if (_outbox.HasFailed)
                return "it no longer takes replies";
            if (!TryServe(request))
                return "the connection ended within a request, or the request is too long";
        }
    }

    private bool TryServe(in RequestHeader request)
    {
        ulong payload = _rules.PayloadLength(request);
        var fault = ShuttingDown ? new Fault(NbdErrno.Shutdown, "the server is stopping") : _rules.Check(request);
        if (fault is { } refused)
        {
            if (payload > _largestSkip || !_reader.TrySkip(payload))
                return false;
            _replies.BatchFault(request, refused);
            return true;
        }

        switch (request.Command)
        {
            case NbdCommand.Read:
                _reads.Read(request);
                return true;
            case NbdCommand.Write:
                HasUnflushedWrites = true;
                return (int)request.Length <= RequestReader.LargestInBlock && (int)request.Length <= _export.PieceBytes
                    ? TryWriteFromBlock(request)
                    : TryWriteInPieces(request);
            case NbdCommand.Flush:
                HasUnflushedWrites = false;
                Start(OperationKind.Flush, request, (long)request.Length);
                return true;
            case NbdCommand.Trim:
                HasUnflushedWrites = true;
                Start(OperationKind.Trim, request, (long)request.Length);
                return true;
            case NbdCommand.WriteZeroes:
                HasUnflushedWrites = true;
                Start(_export.Zero is null ? OperationKind.ZeroByWriting : OperationKind.Zero, request, (long)request.Length);
                return true;
            case NbdCommand.Cache:
                Cache(request);
                return true;
            default:
                return TryBlockStatus(request, payload);
        }
    }

    private void Start(OperationKind kind, in RequestHeader request, long length)
    {
        var operation = _context.Rent();
        operation.Begin(kind, request, (long)request.Offset, length);
        operation.Run();
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
            if (task.IsCompleted && (request.Flags & NbdCommandFlags.Fua) == 0)
            {
                task.GetAwaiter().GetResult();
                _replies.BatchSuccess(request);
                return true;
            }
        }
        catch (Exception error)
        {
            _replies.BatchFault(request, _context.Explain(error, request, (long)request.Offset));
            return true;
        }

        var operation = _context.Rent();
        operation.Begin(OperationKind.Write, request, (long)request.Offset, length);
        block.AddReference();
        operation.SetBuffer(block, position);
        operation.RunFrom(task);
        return true;
    }

    /// <summary>
    /// Writes each piece once it has come, while the next one is received: so a client that does not go on holds one piece of memory at most.
    /// </summary>
    private bool TryWriteInPieces(in RequestHeader request)
    {
        var join = _context.Rent();
        join.Begin(OperationKind.Join, request, (long)request.Offset, 0);
        long offset = (long)request.Offset;
        long end = offset + (long)request.Length;
        bool complete = true;
        while (complete && offset < end)
        {
            int count = _export.PieceAt(offset, end);
            complete = _buffers.TryRent(count, out var buffer);
            if (!complete)
                break;
            complete = _reader.TryReadInto(buffer!.Array.AsSpan(0, count));
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

    private void Cache(in RequestHeader request)
    {
        if (_lender is not null || request.Length == 0)
        {
            _replies.BatchSuccess(request);
            return;
        }

        var operation = _context.Rent();
        operation.Begin(OperationKind.Cache, request, (long)request.Offset, (long)request.Length);
        if (_buffers.TryRent((int)Math.Min(request.Length, (ulong)_export.PieceBytes), out var buffer))
        {
            operation.SetBuffer(buffer, 0);
            operation.Run();
        }
        else
        {
            operation.Abandon();
            operation.ReleaseHold();
        }
    }

    private bool TryBlockStatus(in RequestHeader request, ulong payload)
    {
        ulong length = request.Length;
        if (payload > 0)
        {
            if (payload > LargestStatusPayload)
            {
                if (payload > _largestSkip || !_reader.TrySkip(payload))
                    return false;
                _replies.BatchFault(request, new Fault(NbdErrno.Inval, "the payload names more contexts than there are"));
                return true;
            }

            if (!_reader.TryBuffer((int)payload, withinMessage: true))
                return false;
            bool wellFormed = BlockStatusFilter.TryRead(_reader.BufferedBytes[..(int)payload], out length);
            _reader.Consume((int)payload);
            var fault = wellFormed
                ? _rules.CheckRange(request, length)
                : new Fault(NbdErrno.Inval, "the payload does not name the selected context once");
            if (fault is { } refused)
            {
                _replies.BatchFault(request, refused);
                return true;
            }
        }

        Start(OperationKind.BlockStatus, request, (long)length);
        return true;
    }
}
