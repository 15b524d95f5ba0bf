using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Microsoft.Extensions.Logging;

namespace Farspan.Nbd.Server;

/// <summary>What the operations of one connection share, and the spare ones. Safe for all threads.</summary>
internal sealed class OperationContext
{
    private static readonly byte[] ZeroBytes = new byte[1 << 20];

    private readonly Lock _gate = new();
    private readonly ILogger _logger;
    private readonly string _peer;
    private Operation? _spare;

    public OperationContext(ServedExport export, Flight flight, Replies replies, ILogger logger, string peer, CancellationToken cancelled)
    {
        Export = export;
        Flight = flight;
        Replies = replies;
        Cancelled = cancelled;
        _logger = logger;
        _peer = peer;
    }

    public ServedExport Export { get; }

    public IBackend Backend => Export.Backend;

    public Flight Flight { get; }

    public Replies Replies { get; }

    public WriteLedger Writes { get; } = new();

    /// <summary>Set when the connection is lost, so that what nobody waits for ends.</summary>
    public CancellationToken Cancelled { get; }

    public Operation Rent()
    {
        lock (_gate)
        {
            if (_spare is { } spare)
            {
                _spare = spare.NextSpare;
                spare.NextSpare = null;
                return spare;
            }
        }

        return new Operation(this);
    }

    /// <summary>Starts a request over the range from its offset on.</summary>
    public void Start(OperationKind kind, in RequestHeader request, long length)
    {
        var operation = Rent();
        operation.Begin(kind, request, (long)request.Offset, length);
        operation.Run();
    }

    /// <summary>Starts a BLOCK_STATUS for the contexts of a mask.</summary>
    public void StartBlockStatus(in RequestHeader request, long length, ulong contexts)
    {
        var operation = Rent();
        operation.Begin(OperationKind.BlockStatus, request, (long)request.Offset, length);
        operation.AskFor(contexts);
        operation.Run();
    }

    /// <summary>Starts a FLUSH.</summary>
    public void StartFlush(in RequestHeader request)
    {
        long covers = Writes.BeginFlush(nothingRuns: Flight.Operations == 0);
        var operation = Rent();
        operation.Begin(OperationKind.Flush, request, 0, 0);
        operation.FlushCovers = covers;
        operation.Run();
    }

    /// <summary>Keeps an ended operation for reuse. There are never more than were in flight at once.</summary>
    public void Return(Operation operation)
    {
        lock (_gate)
        {
            operation.NextSpare = _spare;
            _spare = operation;
        }
    }

    /// <summary>Zeroes to write, no more than <paramref name="length"/> or than the backend takes at once.</summary>
    public ReadOnlyMemory<byte> Zeroes(long length)
        => ZeroBytes.AsMemory(0, (int)Math.Min(length, Math.Min(ZeroBytes.Length, Export.PieceBytes)));

    /// <summary>Asks the backend what it says of a context; of allocation that all is data, where it cannot say.</summary>
    public ValueTask AskStatus(long offset, StatusAnswer answer)
    {
        if (answer.Context.MapName is { } map)
            return Export.Maps!.ListStatesAsync(map, offset, answer.Length, answer.Limit, answer.Runs, Cancelled);
        if (Export.Extents is { } source)
            return source.ListExtentsAsync(offset, answer.Length, answer.Limit, answer.Extents, Cancelled);
        answer.Extents.Add(new Extent(offset, answer.Length, ExtentKind.Data));
        return ValueTask.CompletedTask;
    }

    /// <summary>What to tell the client of an exception; what backends are not meant to throw is logged whole.</summary>
    public Fault Explain(Exception error, in RequestHeader request, long offset)
    {
        bool cancelled = error is OperationCanceledException && Cancelled.IsCancellationRequested;
        if (Fault.IsUnexpected(error))
            ServerLog.UnexpectedFailure(_logger, error, request.Command, offset, Export.Name, _peer);
        else if (!cancelled)
            ServerLog.BackendFailed(_logger, request.Command, offset, Export.Name, _peer, error.Message);
        return Fault.From(error, cancelled);
    }

    /// <summary>What a client wants of zeroes.</summary>
    public static ZeroMode ZeroModeOf(NbdCommandFlags flags)
    {
        var mode = ZeroMode.None;
        if ((flags & NbdCommandFlags.NoHole) != 0)
            mode |= ZeroMode.KeepAllocated;
        if ((flags & NbdCommandFlags.FastZero) != 0)
            mode |= ZeroMode.FastOnly;
        return mode;
    }
}
