using Farspan.Backends;
using Farspan.TestKit;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>Our server on a Unix socket, over one backend that it owns; it can be ended and started anew at the same place.</summary>
internal sealed class WireHost : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly IBackend _backend;
    private readonly FarspanServerOptions? _options;
    private StreamListener? _listener;
    private Task _serving = Task.CompletedTask;

    public WireHost(IBackend backend, FarspanServerOptions? options = null, bool keepsLease = false)
        : this(_ => backend, options, keepsLease)
    {
    }

    public WireHost(Func<string, IBackend> open, FarspanServerOptions? options = null, bool keepsLease = false)
    {
        _backend = open(_directory["data"]);
        _options = options;
        LeaseFile = keepsLease ? _directory["lease"] : null;
        Server = null!;
        Start();
    }

    public string? LeaseFile { get; }

    public FarspanServer Server { get; private set; }

    public FarspanClientOptions Options => new() { Endpoint = StreamEndpoint.Unix(_directory["s"]) };

    public void Start(IBackend? backend = null)
    {
        Server = new FarspanServer([new FarspanExport { Backend = backend ?? _backend, LeaseFile = LeaseFile }], _options);
        _listener = StreamListener.Bind(StreamEndpoint.Unix(_directory["s"]));
        _serving = Server.ServeAsync(_listener);
    }

    public ValueTask<FarspanClientBackend> ConnectAsync() => FarspanClientBackend.ConnectAsync(Options);

    /// <summary>Ends the server at once, as a kill would.</summary>
    public async Task StopAsync()
    {
        _listener!.Dispose();
        await _serving;
        await Server.StopAsync(new CancellationToken(canceled: true));
        await Server.DisposeAsync();
        Assert.Equal(0, Server.ConnectionCount);
        Assert.Equal(0, Server.BytesInFlight);
        Assert.Equal(0, Server.OutstandingBuffers);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _backend.DisposeAsync();
        _directory.Dispose();
    }
}
