using System.Globalization;
using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.Transports;

namespace Farspan.Wire.Server;

/// <summary>
/// Serves backends and their leases by Farspan's own wire (docs/wire/farspan.md) to any number of clients, over listeners and over any duplex
/// stream. All members may be called from any thread.
/// </summary>
/// <remarks>
/// Each connection has a thread of its own, on which backends are called; what they do not have at hand goes on by itself. Whoever else writes
/// to a backend that is served here must do so through <see cref="Gated"/>, so that a lease means something.
/// </remarks>
public sealed class FarspanServer : IAsyncDisposable
{
    private static readonly TimeSpan LongestWatchPeriod = TimeSpan.FromSeconds(5);

    private readonly FarspanServerOptions _options;
    private readonly Dictionary<string, ServedStore> _stores = new(StringComparer.Ordinal);
    private readonly ServedStore? _first;
    private readonly WireBufferPool _pool = new();
    private readonly MemoryBudget _budget;
    private readonly HashSet<WireConnection> _connections = [];
    private readonly Dictionary<(Guid Session, int Place), WireConnection> _places = [];
    private readonly CancellationTokenSource _stopped = new();
    private readonly ITimer _watch;
    private long _refused;
    private bool _stopping;

    /// <summary>Makes a server; it serves nobody before <see cref="ServeAsync"/> or <see cref="HandleAsync"/>.</summary>
    /// <param name="exports">What is served, each under its own name; the empty name is the first one's too.</param>
    /// <param name="options">Limits and settings.</param>
    /// <exception cref="ArgumentException">Two exports have one name.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its bounds.</exception>
    /// <exception cref="BackendException">A lease file cannot be read.</exception>
    public FarspanServer(IEnumerable<FarspanExport> exports, FarspanServerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(exports);
        _options = options ?? new FarspanServerOptions();
        _options.Validate();
        foreach (var export in exports)
        {
            var store = new ServedStore(export, _options);
            _first ??= store;
            if (!_stores.TryAdd(export.Name, store))
                throw new ArgumentException($"Two exports are named '{export.Name}'; give each its own name.", nameof(exports));
        }

        _budget = new MemoryBudget(_options.MaximumServerBytesInFlight);
        var shortest = _options.StallTimeout < _options.HandshakeTimeout ? _options.StallTimeout : _options.HandshakeTimeout;
        if (_options.IdleTimeout != Timeout.InfiniteTimeSpan && _options.IdleTimeout < shortest)
            shortest = _options.IdleTimeout;
        var period = TimeSpan.FromTicks(Math.Clamp(shortest.Ticks / 4, TimeSpan.TicksPerMillisecond, LongestWatchPeriod.Ticks));
        _watch = _options.Clock.CreateTimer(static server => ((FarspanServer)server!).Watch(), this, period, period);
    }

    /// <summary>Connections that are open now.</summary>
    public int ConnectionCount
    {
        get
        {
            lock (_connections)
                return _connections.Count;
        }
    }

    /// <summary>What clients tell this start of the server from another by.</summary>
    public Guid Instance { get; } = Guid.NewGuid();

    /// <summary>Buffers in use; for tests of leaks.</summary>
    internal int OutstandingBuffers => _pool.Outstanding;

    /// <summary>Bytes that requests hold; for tests of leaks.</summary>
    internal long BytesInFlight => _budget.Bytes;

    /// <summary>
    /// The export's backend for writers that are not clients of this server: their writes are refused with <see cref="BackendError.Leased"/> while
    /// a lease is held, and are over before one is given. Disposing it does nothing.
    /// </summary>
    public IBackend Gated(string name = "")
        => Find(name) is { } store ? new GatedBackend(store.Backend, store.Gate) : throw new ArgumentException($"There is no export named '{name}'.", nameof(name));

    /// <summary>
    /// Accepts clients until cancelled, the listener is disposed, or the server stops; then returns, while the accepted ones go on. The caller
    /// owns the listener.
    /// </summary>
    public async Task ServeAsync(StreamListener listener, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(listener);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stopped.Token, cancellationToken);
        while (!either.IsCancellationRequested)
        {
            try
            {
                TryStart(await listener.AcceptAsync(either.Token));
            }
            catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException error)
            {
                // Most often there are no descriptors left: those who have some go on, and give some back.
                _options.Log?.Invoke($"accepting on {listener.Endpoint} failed: {error.Message}");
                await Task.Delay(TimeSpan.FromMilliseconds(100), _options.Clock, CancellationToken.None);
            }
        }
    }

    /// <summary>Serves one client on a duplex stream, and disposes it. Completes when the client is gone.</summary>
    /// <exception cref="InvalidOperationException">The server stops, or has all the connections that its options allow.</exception>
    public Task HandleAsync(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return TryStart(stream)?.Ended.Task
            ?? throw new InvalidOperationException("The server stops or has all the connections that its options allow.");
    }

    /// <summary>
    /// Stops: accepts nobody more, refuses new requests, waits for those in flight up to <see cref="FarspanServerOptions.ShutdownTimeout"/>, then
    /// closes every connection. Cancelling closes them at once.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        WireConnection[] open;
        lock (_connections)
        {
            _stopping = true;
            open = [.. _connections];
        }

        await _stopped.CancelAsync();
        Array.ForEach(open, static connection => connection.BeginStopping());
        long start = _options.Clock.GetTimestamp();
        while (Array.Exists(open, static c => c.RequestsInFlight > 0)
            && _options.Clock.GetElapsedTime(start) < _options.ShutdownTimeout && !cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), _options.Clock, CancellationToken.None);
        }

        Array.ForEach(open, static connection => connection.Abort("the server stops"));
        await Task.WhenAll(open.Select(static c => c.Ended.Task));
    }

    /// <summary>Stops as <see cref="StopAsync"/> does. The backends are left alone.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _watch.DisposeAsync();
        ReportRefused();
        _stopped.Dispose();
    }

    internal ServedStore? Find(string name) => _stores.GetValueOrDefault(name) ?? (name.Length == 0 ? _first : null);

    /// <summary>
    /// Gives the connection its place in its session, once the one that had it has ended with all that it had running: a write that was sent
    /// again must not be overtaken by its first copy. False where that takes too long.
    /// </summary>
    internal bool TryTakePlace(WireConnection connection, TimeSpan timeout)
    {
        WireConnection? before;
        lock (_connections)
        {
            if (_places.TryGetValue((connection.Session, connection.Place), out before) && ReferenceEquals(before, connection))
                return true;
            if (before is null)
                _places[(connection.Session, connection.Place)] = connection;
        }

        if (before is null)
            return true;
        before.Abort("its client has connected again");
        try
        {
            before.Ended.Task.WaitAsync(timeout, _options.Clock).GetAwaiter().GetResult();
        }
        catch (TimeoutException)
        {
            return false;
        }

        lock (_connections)
            return _places.TryAdd((connection.Session, connection.Place), connection);
    }

    /// <summary>Serves a client to his end on the caller's thread.</summary>
    internal void Run(WireConnection connection)
    {
        connection.Run();
        lock (_connections)
        {
            _connections.Remove(connection);
            if (_places.TryGetValue((connection.Session, connection.Place), out var holder) && ReferenceEquals(holder, connection))
                _places.Remove((connection.Session, connection.Place));
        }

        connection.Dispose();
        connection.Ended.SetResult();
    }

    private WireConnection? TryStart(Stream stream)
    {
        var connection = new WireConnection(ByteChannel.Over(_options.WrapConnection?.Invoke(stream) ?? stream), this, _options, _pool, _budget);
        bool refused;
        lock (_connections)
        {
            refused = _stopping || _connections.Count >= _options.MaximumConnections;
            if (!refused)
                _connections.Add(connection);
            else if (!_stopping)
                Interlocked.Increment(ref _refused);
        }

        if (refused)
        {
            connection.Refuse();
            return null;
        }

        var thread = new Thread(() => Run(connection), 512 << 10) { IsBackground = true, Name = "farspan client" };
        thread.Start();
        return connection;
    }

    private void Watch()
    {
        WireConnection[] open;
        lock (_connections)
            open = [.. _connections];
        Array.ForEach(open, static connection => connection.Watch());
        ReportRefused();
    }

    // One line for all since the last look: whoever connects over and over fills no log.
    private void ReportRefused()
    {
        if (Interlocked.Exchange(ref _refused, 0) is var refused and > 0)
            _options.Log?.Invoke(string.Create(CultureInfo.InvariantCulture, $"connections were refused, {refused} of them lately: {_options.MaximumConnections} are the limit"));
    }
}
