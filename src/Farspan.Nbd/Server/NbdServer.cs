using System.Globalization;
using System.Net.Sockets;
using Farspan.Transports;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Farspan.Nbd.Server;

/// <summary>
/// Serves backends by the NBD protocol (fixed newstyle; the protocol document of NetworkBlockDevice/nbd, doc/proto.md, with its extension
/// for 64-bit headers) to any number of clients, over listeners and over any duplex stream. All members may be called from any thread.
/// </summary>
/// <remarks>
/// <para>Requests of one connection run at the same time, and replies come as they are ready. An error of a backend is answered as such and
/// the connection goes on; only what cannot be understood any more ends it, and only it.</para>
/// <para>Each connection has a thread of its own, on which backends are called; what they do not have at hand continues on theirs.</para>
/// </remarks>
public sealed class NbdServer : IAsyncDisposable
{
    private static readonly TimeSpan LongestWatchPeriod = TimeSpan.FromSeconds(5);

    private readonly NbdServerOptions _options;
    private readonly ExportTable _exports;
    private readonly TlsMaterial? _tls;
    private readonly ILogger _logger;
    private readonly BufferPool _pool = new();
    private readonly ServerBudget _budget;
    private readonly Dictionary<NbdConnection, Task> _connections = [];
    private readonly CancellationTokenSource _stopped = new();
    private readonly ITimer _watch;
    private readonly Lazy<Task> _disposal;
    private int _watching;
    private long _connectionNumber;
    private long _refused;
    private bool _stopping;

    /// <summary>Makes a server; it serves nobody before <see cref="ServeAsync"/> or <see cref="HandleAsync"/>.</summary>
    /// <param name="exports">What is served, each under its own name; the first is the default one.</param>
    /// <param name="options">Limits and settings.</param>
    /// <param name="logger">Takes connections and failures.</param>
    /// <exception cref="ArgumentException">Two exports have one name, a text is no NBD string, or block sizes are not NBD's.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its bounds.</exception>
    /// <exception cref="IOException">The TLS certificates cannot be read.</exception>
    public NbdServer(IEnumerable<NbdExport> exports, NbdServerOptions? options = null, ILogger? logger = null)
    {
        ArgumentNullException.ThrowIfNull(exports);
        _options = options ?? new NbdServerOptions();
        _options.Validate();
        _exports = new ExportTable(exports, _options.MaximumRequestBytes);
        _tls = _options.Tls is { } tls ? TlsMaterial.Load(tls) : null;
        _logger = logger ?? NullLogger.Instance;
        _budget = new ServerBudget(_options.MaximumServerBytesInFlight);
        _disposal = new Lazy<Task>(DisposeOnceAsync);
        var period = WatchPeriod(_options);
        _watch = _options.Clock.CreateTimer(static server => ((NbdServer)server!).Watch(), this, period, period);
    }

    /// <summary>Connections that are open now, those in their negotiation included.</summary>
    public int ConnectionCount
    {
        get
        {
            lock (_connections)
                return _connections.Count;
        }
    }

    /// <summary>Buffers in use; for tests of leaks.</summary>
    internal int OutstandingBuffers => _pool.Outstanding;

    /// <summary>Requests that run or wait to be answered, of all connections; for tests.</summary>
    internal int RequestsInFlight
    {
        get
        {
            lock (_connections)
                return _connections.Keys.Sum(connection => connection.RequestsInFlight);
        }
    }

    /// <summary>Bytes of buffers that requests hold; for tests of leaks.</summary>
    internal long BytesInFlight => _budget.Bytes;

    /// <summary>
    /// Accepts clients until <paramref name="cancellationToken"/> is set, the listener is disposed, or the server stops; then returns, while
    /// the accepted ones go on. The caller owns the listener. May run for several listeners at once.
    /// </summary>
    public async Task ServeAsync(StreamListener listener, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(listener);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stopped.Token, cancellationToken);
        while (!either.IsCancellationRequested)
        {
            Stream stream;
            try
            {
                stream = await listener.AcceptAsync(either.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException error)
            {
                // Most often there are no descriptors left: those who have some go on, and give some back.
                ServerLog.AcceptFailed(_logger, listener.Endpoint.ToString(), error.Message);
                await Task.Delay(TimeSpan.FromMilliseconds(100), _options.Clock, CancellationToken.None);
                continue;
            }

            try
            {
                TryStart(stream, out _);
            }
            catch (Exception error)
            {
                // No thread is left, or the hook that wraps connections fails: that is this client's misfortune alone.
                ServerLog.StartFailed(_logger, error, listener.Endpoint.ToString(), error.Message);
            }
        }
    }

    /// <summary>
    /// Serves one client on a duplex stream, whose reading and writing may go on at once, and disposes it. Completes when the client is gone;
    /// what a client does never makes it fail.
    /// </summary>
    /// <exception cref="InvalidOperationException">The server stops, or has all the connections that its options allow.</exception>
    public Task HandleAsync(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return TryStart(stream, out var done)
            ? done
            : throw new InvalidOperationException("The server stops or has all the connections that its options allow.");
    }

    /// <summary>
    /// Stops: accepts nobody more, answers new requests with SHUTDOWN, waits for those in flight up to
    /// <see cref="NbdServerOptions.ShutdownTimeout"/>, one that is still being received too, then closes every connection. Cancelling closes
    /// them at once.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        KeyValuePair<NbdConnection, Task>[] open;
        lock (_connections)
        {
            _stopping = true;
            open = [.. _connections];
        }

        await _stopped.CancelAsync();
        foreach (var (connection, _) in open)
            connection.BeginStopping();
        long start = _options.Clock.GetTimestamp();
        while (Array.Exists(open, c => !c.Value.IsCompleted && !c.Key.IsQuiet)
            && _options.Clock.GetElapsedTime(start) < _options.ShutdownTimeout && !cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), _options.Clock, CancellationToken.None);
        }

        foreach (var (connection, _) in open)
            connection.Abort("the server stops");
        await Task.WhenAll(open.Select(c => c.Value));
    }

    /// <summary>Stops as <see cref="StopAsync"/> does. The exports' backends are left alone. Every further call waits for the same end.</summary>
    public ValueTask DisposeAsync() => new(_disposal.Value);

    /// <remarks><see cref="_stopped"/> is left as it is: it holds nothing to free, and who stops or serves once more still looks at it.</remarks>
    private async Task DisposeOnceAsync()
    {
        await StopAsync();
        await _watch.DisposeAsync();
        ReportRefused();
        _tls?.Dispose();
    }

    private static TimeSpan WatchPeriod(NbdServerOptions options)
    {
        var shortest = options.StallTimeout < options.HandshakeTimeout ? options.StallTimeout : options.HandshakeTimeout;
        if (options.IdleTimeout != Timeout.InfiniteTimeSpan && options.IdleTimeout < shortest)
            shortest = options.IdleTimeout;
        var period = shortest / 4;
        return period > LongestWatchPeriod ? LongestWatchPeriod : period < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : period;
    }

    private bool TryStart(Stream stream, out Task ended)
    {
        long number = Interlocked.Increment(ref _connectionNumber);
        ByteChannel channel;
        try
        {
            channel = Channel(stream);
        }
        catch
        {
            stream.Dispose();
            throw;
        }

        var connection = new NbdConnection(
            channel, $"client {number.ToString(CultureInfo.InvariantCulture)}", _options, _exports, _tls, _pool, _budget, _logger);
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        ended = done.Task;
        bool refused;
        lock (_connections)
        {
            refused = _stopping || _connections.Count >= _options.MaximumConnections;
            if (!refused)
                _connections.Add(connection, done.Task);
        }

        if (refused)
        {
            if (_stopping)
                ServerLog.TooLate(_logger);
            else
                Interlocked.Increment(ref _refused);
            channel.Dispose();
            connection.Dispose();
            return false;
        }

        try
        {
            _options.StartThread(
                new Thread(() => Run(connection, done), 512 << 10) { IsBackground = true, Name = $"nbd {connection.Peer}" });
        }
        catch
        {
            channel.Dispose();
            End(connection, done);
            throw;
        }

        return true;
    }

    private ByteChannel Channel(Stream stream)
    {
        if (_options.WrapConnection is { } wrap)
            return new StreamChannel(wrap(stream));
        return ByteChannel.Over(stream);
    }

    private void Run(NbdConnection connection, TaskCompletionSource done)
    {
        connection.Run();
        End(connection, done);
    }

    private void End(NbdConnection connection, TaskCompletionSource done)
    {
        lock (_connections)
            _connections.Remove(connection);
        connection.Dispose();
        done.SetResult();
    }

    private void Watch()
    {
        // A look that takes longer than the period must not be joined by the next one.
        if (Interlocked.Exchange(ref _watching, 1) != 0)
            return;
        NbdConnection[] open;
        lock (_connections)
            open = [.. _connections.Keys];
        foreach (var connection in open)
            connection.Watch();
        ReportRefused();
        Volatile.Write(ref _watching, 0);
    }

    // One line for all since the last look: whoever connects over and over fills no log.
    private void ReportRefused()
    {
        if (Interlocked.Exchange(ref _refused, 0) is var refused and > 0)
            ServerLog.TooMany(_logger, refused, _options.MaximumConnections);
    }
}
