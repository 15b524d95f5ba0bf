using Farspan.Transports;
using Microsoft.Extensions.Logging;

namespace Farspan.Nbd.Server;

/// <summary>One client, from its greeting to its end, on a thread of its own.</summary>
internal sealed class NbdConnection : IDisposable
{
    private readonly NbdServerOptions _options;
    private readonly ExportTable _exports;
    private readonly TlsMaterial? _tls;
    private readonly BufferPool _pool;
    private readonly ILogger _logger;
    private readonly Flight _flight;
    private readonly ConnectionProgress _progress = new();
    private readonly CancellationTokenSource _lost = new();
    private readonly long _started;
    private volatile ByteChannel _channel;
    private volatile Outbox? _outbox;
    private volatile bool _inTransmission;
    private volatile string? _abortReason;

    public NbdConnection(
        ByteChannel channel, string peer, NbdServerOptions options, ExportTable exports, TlsMaterial? tls, BufferPool pool, ServerBudget budget,
        ILogger logger)
    {
        _channel = channel;
        Peer = peer;
        _options = options;
        _exports = exports;
        _tls = tls;
        _pool = pool;
        _logger = logger;
        _flight = new Flight(options.MaximumRequestsInFlight, options.MaximumBytesInFlight, budget);
        _started = options.Clock.GetTimestamp();
    }

    public string Peer { get; }

    /// <summary>Requests that run or wait to be answered.</summary>
    public int RequestsInFlight => _flight.Operations;

    /// <summary>Whether it owes its client nothing: no request runs, none is being received, and every reply is sent.</summary>
    /// <remarks>In this order: a request begins after the wait for it has ended, and a reply is with the outbox before the next wait.</remarks>
    public bool IsQuiet => !_inTransmission || (_progress.IsWaitingForRequest && _flight.Operations == 0 && _outbox is not { IsIdle: false });

    /// <summary>Serves the client to its end. Never throws.</summary>
    public void Run()
    {
        ServerLog.Connected(_logger, Peer);
        string? reason;
        try
        {
            reason = Serve();
            if (_abortReason is null)
                FinishSending();
        }
        catch (IOException error)
        {
            reason = error.Message;
        }
        catch (Exception error)
        {
            reason = "the server failed";
            ServerLog.Defect(_logger, error, Peer);
        }

        if (_abortReason is { } aborted)
            ServerLog.Disconnected(_logger, Peer, aborted);
        else
            ServerLog.Gone(_logger, Peer, reason ?? "it said goodbye");
        _channel.Dispose();
    }

    /// <summary>Refuses what comes from here on; what is in flight goes on.</summary>
    public void BeginStopping() => _flight.BeginStopping();

    /// <summary>Ends the connection at once, from any thread.</summary>
    public void Abort(string reason)
    {
        _abortReason ??= reason;
        _channel.Abort();
        _flight.Abort();
    }

    /// <summary>The server's look at it: ends what takes too long.</summary>
    public void Watch()
    {
        if (!_inTransmission && _options.Clock.GetElapsedTime(_started) >= _options.HandshakeTimeout)
            Abort("the negotiation takes too long");
        else if (_progress.Judge(_options.Clock, _options.StallTimeout, _options.IdleTimeout, _flight.Operations > 0) is { } reason)
            Abort(reason);
    }

    public void Dispose() => _lost.Dispose();

    /// <summary>Returns why the connection is over; null where the client has said so.</summary>
    private string? Serve()
    {
        if (_flight.IsStopping)
            return "the server is stopping";
        var agreed = new NbdHandshake(_channel, _options, _exports, () => _flight.IsStopping, UpgradeToTls).Run(out string? reason);
        return agreed is null ? reason : Transmit(agreed);
    }

    /// <summary>TLS says goodbye in bytes of its own, which a client may leave untaken like any others: the watch looks on.</summary>
    private void FinishSending()
    {
        _progress.BeginSend();
        _channel.FinishSending();
        _progress.EndSend();
    }

    private StreamChannel UpgradeToTls()
    {
        var below = _channel.AsStream();
        var secure = new StreamChannel(_tls!.Authenticate(below), below);
        _channel = secure;
        if (_abortReason is not null)
            secure.Abort();
        return secure;
    }

    private string? Transmit(OptionNegotiation agreed)
    {
        _inTransmission = true;
        var export = agreed.Chosen!;
        ServerLog.Transmits(_logger, Peer, export.Name, agreed.Mode);
        using var outbox = new Outbox(_channel, _pool, _flight, _progress, $"nbd send {Peer}", _options.StartThread);
        _outbox = outbox;
        var replies = new Replies(outbox, _pool, _flight, agreed.Mode);
        var context = new OperationContext(export, _flight, replies, _logger, Peer, _lost.Token);
        var buffers = new FlightBuffers(_pool, _flight, outbox);
        using var reader = new RequestReader(_channel, _pool, _flight, _progress, outbox);
        var transmission = new Transmission(reader, outbox, replies, buffers, context, agreed.Contexts);
        string? reason = "the line is lost";
        try
        {
            reason = transmission.Run();
        }
        finally
        {
            Finish(outbox, context, graceful: reason is null);
        }

        return reason;
    }

    /// <summary>After DISC everything in flight is answered; else what nobody waits for is cancelled. Either way it ends before we do.</summary>
    private void Finish(Outbox outbox, OperationContext context, bool graceful)
    {
        outbox.Flush();
        if (!graceful || outbox.HasFailed)
        {
            _channel.Abort();
            _lost.Cancel();
        }

        if (!_flight.WaitUntilIdle(graceful ? Timeout.InfiniteTimeSpan : _options.ShutdownTimeout, () => _abortReason is not null))
        {
            _lost.Cancel();
            if (!_flight.WaitUntilIdle(_options.ShutdownTimeout))
                ServerLog.StillRunning(_logger, _flight.Operations, Peer);
        }

        if (context.Writes.HasUnflushed)
            FlushLastWrites(context.Export);
    }

    /// <summary>A client that went without a flush leaves nothing in a store's cache: the next one may never come.</summary>
    private void FlushLastWrites(ServedExport export)
    {
        try
        {
            using var limit = new CancellationTokenSource(_options.ShutdownTimeout, _options.Clock);

            // A store that does not heed the token holds nobody up either.
            export.Backend.FlushAsync(limit.Token).AsTask().WaitAsync(limit.Token).GetAwaiter().GetResult();
        }
        catch (Exception error)
        {
            ServerLog.LastFlushFailed(_logger, export.Name, Peer, error.Message);
        }
    }
}
