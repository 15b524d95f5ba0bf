using System.Net.Security;
using System.Security.Authentication;
using Farspan.Checksums;
using Farspan.Transports;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <summary>
/// One client's connection, from its hello to its end, on a thread of its own. What the client may make it hold is checked before it is taken.
/// </summary>
internal sealed partial class WireConnection : IDisposable
{
    private const int BlockSize = 256 << 10;

    private readonly FarspanServer _server;
    private readonly FarspanServerOptions _options;
    private readonly WireBufferPool _pool;
    private readonly MemoryBudget _budget;
    private readonly Flight _flight;
    private readonly Outbox _outbox;
    private readonly CancellationTokenSource _aborted = new();
    private readonly long _start;
    private volatile ByteChannel _line;
    private WireRequests? _requests;
    private long _receivingSince;
    private bool _withinMessage;
    private bool _hasChecksums = true;
    private volatile bool _isStopping;
    private volatile string? _reason;

    public WireConnection(ByteChannel line, FarspanServer server, FarspanServerOptions options, WireBufferPool pool, MemoryBudget budget)
    {
        _line = line;
        _server = server;
        _options = options;
        _pool = pool;
        _budget = new MemoryBudget(options.MaximumBytesInFlight, budget);
        _flight = new Flight(options.MaximumRequestsInFlight);
        _outbox = new Outbox(line, _flight, pool, Abort, options.Clock);
        _start = options.Clock.GetTimestamp();
        _spin = Spin(line);
        _block = pool.Rent(BlockSize);
    }

    /// <summary>Completes once nothing of the connection is running any more.</summary>
    public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int RequestsInFlight => _flight.Count;

    public Guid Session { get; private set; }

    public int Place { get; private set; }

    /// <summary>Serves until the client leaves or cannot be served any more.</summary>
    public void Run()
    {
        try
        {
            if (TryGreet() is { } store)
            {
                _requests = new WireRequests(store, Session, _outbox, _flight, _pool, _budget, Log, _aborted.Token);
                if (_isStopping)
                    _requests.ShuttingDown = true;
                Serve(store, _requests);
            }
        }
        catch (IOException error)
        {
            _reason ??= error.Message;
        }

        _outbox.Flush();
        if (_reason is not null)
            Abort(_reason);
        _flight.WaitUntilIdle();
        _outbox.Stop();
        if (!_aborted.IsCancellationRequested)
            _outbox.FinishSending();
        _block.Release();
        if (_reason is not null)
            Log($"a client's connection ended: {_reason}");
    }

    /// <summary>Refuses every further request.</summary>
    public void BeginStopping()
    {
        _isStopping = true;
        if (_requests is not null)
            _requests.ShuttingDown = true;
    }

    /// <summary>Ends the connection from any thread.</summary>
    public void Abort(string reason)
    {
        _reason ??= reason;
        _line.Abort();
        _budget.Abort();
        _flight.Abort();
        _ = _aborted.CancelAsync();
    }

    /// <summary>Ends the connection where it has waited too long for its peer.</summary>
    public void Watch()
    {
        var clock = _options.Clock;
        long receiving = Volatile.Read(ref _receivingSince);
        long sending = _outbox.SendingSince;
        if (_requests is null && clock.GetElapsedTime(_start) >= _options.HandshakeTimeout)
            Abort("its hello took too long");
        else if (sending != 0 && clock.GetElapsedTime(sending) >= _options.StallTimeout)
            Abort("it does not take what is sent to it");
        else if (receiving != 0 && _withinMessage && clock.GetElapsedTime(receiving) >= _options.StallTimeout)
            Abort("the rest of a message does not come");
        else if (receiving != 0 && !_withinMessage && _flight.Count == 0 && _options.IdleTimeout != Timeout.InfiniteTimeSpan
            && clock.GetElapsedTime(receiving) >= _options.IdleTimeout)
            Abort("it is idle");
    }

    /// <summary>Ends a connection that was never run.</summary>
    public void Refuse()
    {
        _block.Release();
        Dispose();
    }

    // The cancellation source has no timer and is left to the collector: an abort may still come.
    public void Dispose() => _line.Dispose();

    private ServedStore? TryGreet()
    {
        if (_options.Tls is { } tls)
            Secure(tls);
        while (Buffered.Length < ClientHello.Size)
        {
            if (!ClientHello.CanBegin(Buffered) || !TryFill(ClientHello.Size, withinMessage: true))
                return End("it sent what is no hello");
        }

        if (!ClientHello.TryRead(Buffered, out var hello))
            return End("it sent what is no hello");
        _head += ClientHello.Size;
        if (!TryBuffer(hello.NameLength))
            return End("the connection ended within its hello");
        var name = Buffered[..hello.NameLength];
        _head += hello.NameLength;
        if ((name.Length == 0 ? 0 : Crc32C.Compute(name)) != hello.NameChecksum || WireLimits.Decode(name) is not { } text)
            return End("the name in its hello is damaged");
        if (hello.LowestVersion > WireLimits.Version || hello.HighestVersion < WireLimits.Version)
            return Refuse(WireStatus.NotSupported, $"this server speaks version {WireLimits.Version} only");
        if (_server.Find(text) is not { } store)
            return Refuse(WireStatus.NotFound, $"there is no export named '{text}'");
        Session = hello.Session;
        Place = hello.Place;
        if (hello.Place >= _options.MaximumConnectionsPerSession)
            return Refuse(WireStatus.Invalid, $"one client has at most {_options.MaximumConnectionsPerSession} connections");
        if (!_server.TryTakePlace(this, _options.HandshakeTimeout))
            return Refuse(WireStatus.TimedOut, "requests of the connection before this one do not end");
        _hasChecksums = !_line.IsProtected || (hello.Wishes & WireCapabilities.PayloadChecksums) != 0;
        _outbox.HasChecksums = _hasChecksums;
        Answer(store, WireStatus.Done, store.Export.Description);
        return store;
    }

    private void Secure(SslServerAuthenticationOptions tls)
    {
        var below = _line.AsStream();
        var secure = new SslStream(below, leaveInnerStreamOpen: false);
        _line = _outbox.Line = new StreamChannel(secure, below);
        _spin = null;
        try
        {
            secure.AuthenticateAsServer(tls);
        }
        catch (Exception error) when (error is AuthenticationException or InvalidOperationException or ObjectDisposedException)
        {
            throw new IOException($"the TLS handshake failed: {(error.InnerException ?? error).Message}", error);
        }
    }

    private ServedStore? End(string reason)
    {
        _reason ??= reason;
        return null;
    }

    private ServedStore? Refuse(WireStatus status, string message)
    {
        Answer(store: null, status, message);
        return null;
    }

    private void Answer(ServedStore? store, WireStatus status, string message)
    {
        byte[] text = WireLimits.Encode(message, WireLimits.MaximumMessage);
        byte[] bytes = new byte[ServerHello.Size + text.Length];
        text.CopyTo(bytes, ServerHello.Size);
        int payload = store?.MaximumPayload ?? _options.MaximumPayload;
        new ServerHello(
            WireLimits.Version, status, Capabilities(), _server.Instance, store?.Backend.Length ?? 0, store?.Minimum ?? 1,
            store?.Preferred ?? 4096, payload, payload, _options.MaximumRequestsInFlight, _options.MaximumConnectionsPerSession,
            (int)_options.LeaseTimeout.TotalMilliseconds, text.Length, text.Length == 0 ? 0 : Crc32C.Compute(text)).Write(bytes);
        _line.Send(bytes);

        WireCapabilities Capabilities() => store is null ? WireCapabilities.None : store.Capabilities | (_hasChecksums ? WireCapabilities.PayloadChecksums : 0);
    }

    private void Serve(ServedStore store, WireRequests requests)
    {
        while (true)
        {
            while (Buffered.Length < WireFrame.Size)
            {
                bool begun = Buffered.Length > 0;
                if (!TryFill(WireFrame.Size, begun))
                {
                    _reason ??= begun ? "it ended within a request" : "it closed the connection";
                    return;
                }

                store.Gate.Touch(Session);
            }

            if (!WireFrame.TryReadRequest(Buffered, out var request) || request.PayloadLength > _options.MaximumPayload)
            {
                _reason ??= "it sent what is no request";
                return;
            }

            _head += WireFrame.Size;
            _headerAlone = false;
            if (request.Operation == WireOperation.Goodbye)
            {
                if (Place == 0)
                    store.Gate.EndSession(Session);
                return;
            }

            if (!HasRoom() || _outbox.HasFailed || !TryServe(request, requests, store))
            {
                _reason ??= "it ended within a request";
                return;
            }
        }

        bool HasRoom()
        {
            if (_flight.HasRoom)
                return true;
            _outbox.Flush();
            return _flight.WaitForRoom();
        }
    }

    private bool TryServe(in WireFrame request, WireRequests requests, ServedStore store)
    {
        _flight.Begin();
        if (request.PayloadLength > WireRequests.SmallPayload)
            return TryServeLarge(request, requests, store);
        if (!TryBuffer(request.PayloadLength) || !IsIntact(request, Buffered[..request.PayloadLength]))
            return GiveUp();
        int position = _head;
        _head += request.PayloadLength;
        if (requests.TryRefuse(request))
            return true;
        switch (request.Operation)
        {
            case WireOperation.Read:
                return requests.TryRead(request);
            case WireOperation.Write:
                requests.Write(request, _block, position);
                return true;
            case WireOperation.Flush or WireOperation.Trim or WireOperation.Zero:
                requests.Change(request);
                return true;
            case WireOperation.Extents:
                _ = requests.ListExtentsAsync(request);
                return true;
            case WireOperation.LeaseRenew or WireOperation.LeaseRelease:
                requests.KeepLease(request);
                return true;
            case WireOperation.Ping:
                requests.Acknowledge(request);
                return true;
            case WireOperation.LeaseAcquire when LeaseRequest.TryRead(_block.Array.AsSpan(position, request.PayloadLength), out var lease):
                _ = requests.AcquireAsync(request, lease);
                return true;
            case WireOperation.LeaseAcquire:
                requests.AddFailure(request, WireStatus.Invalid, "the payload names no lease");
                return true;
            case >= WireOperation.MigrateTrack and <= WireOperation.MigrateList:
                return requests.Region.TryServe(request, _block.Array.AsSpan(position, request.PayloadLength));
            default:
                requests.AddFailure(request, WireStatus.NotSupported, $"operation {(ushort)request.Operation} is not known");
                return true;
        }
    }

    private void Log(string message) => _options.Log?.Invoke(message);
}
