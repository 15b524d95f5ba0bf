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
    private readonly WriteHandler _writes;
    private readonly Flight _flight;
    private readonly OperationContext _context;
    private readonly RequestRules _rules;
    private readonly ServedExport _export;
    private readonly IMemoryLender? _lender;
    private readonly bool _extended;
    private readonly int _headerSize;
    private readonly ulong _largestSkip;
    private readonly ulong _contexts;

    public Transmission(
        RequestReader reader, Outbox outbox, Replies replies, FlightBuffers buffers, OperationContext context, ulong contexts)
    {
        _reader = reader;
        _outbox = outbox;
        _replies = replies;
        _buffers = buffers;
        _reads = new ReadHandler(outbox, replies, buffers, context);
        _writes = new WriteHandler(reader, replies, buffers, context);
        _context = context;
        _flight = context.Flight;
        _export = context.Export;
        _lender = _export.Lender;
        _rules = new RequestRules(_export, replies.Mode, contexts);
        _contexts = contexts;
        _extended = replies.Mode == HeaderMode.Extended;
        _headerSize = _extended ? RequestHeader.ExtendedSize : RequestHeader.CompactSize;
        _largestSkip = 4UL * _export.Sizes.Maximum;
    }

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
            _reader.ExpectAnything();
            if (request.Command == NbdCommand.Disconnect)
                return null;
            if (!_flight.HasRoomForOperation)
            {
                _outbox.Flush();
                if (!_flight.WaitForOperation())
                    return "the connection was ended";
            }

            // Replies that wait for a client who does not take them count too: answers that need no operation must not pile up.
            if (!_flight.HasRoomForBytes(Outbox.LargestSend))
            {
                _outbox.Flush();
                if (!_flight.WaitForBytes(Outbox.LargestSend))
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
        var fault = _flight.IsStopping ? new Fault(NbdErrno.Shutdown, "the server is stopping") : _rules.Check(request);
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
                _context.Writes.Begin();
                return _writes.TryWrite(request);
            case NbdCommand.Flush:
                _context.StartFlush(request);
                return true;
            case NbdCommand.Trim:
                _context.Writes.Begin();
                _context.Start(OperationKind.Trim, request, (long)request.Length);
                return true;
            case NbdCommand.WriteZeroes:
                _context.Writes.Begin();
                _context.Start(_export.Zero is null ? OperationKind.ZeroByWriting : OperationKind.Zero, request, (long)request.Length);
                return true;
            case NbdCommand.Cache:
                Cache(request);
                return true;
            default:
                return TryBlockStatus(request, payload);
        }
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
        if (_buffers.TryRent((int)Math.Min(request.Length, (ulong)_export.PieceBytes), out var buffer, out var failure))
        {
            operation.SetBuffer(buffer, 0);
            operation.Run();
        }
        else
        {
            operation.Abandon(failure);
            operation.ReleaseHold();
        }
    }

    private bool TryBlockStatus(in RequestHeader request, ulong payload)
    {
        ulong length = request.Length;
        ulong contexts = _contexts;
        if ((request.Flags & NbdCommandFlags.PayloadLength) != 0)
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
            bool wellFormed = BlockStatusFilter.TryRead(_reader.BufferedBytes[..(int)payload], _contexts, out length, out contexts);
            _reader.Consume((int)payload);
            var fault = wellFormed
                ? _rules.CheckRange(request, length)
                : new Fault(NbdErrno.Inval, "the payload does not name selected contexts once each");
            if (fault is { } refused)
            {
                _replies.BatchFault(request, refused);
                return true;
            }
        }

        _context.StartBlockStatus(request, (long)length, contexts);
        return true;
    }
}
