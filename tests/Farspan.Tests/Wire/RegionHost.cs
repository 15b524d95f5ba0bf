using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Farspan.Backends;
using Farspan.Migration;
using Farspan.TestKit;
using Farspan.TestKit.Simulation;
using Farspan.Tests.Migration;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Server;

namespace Farspan.Tests.Wire;

/// <summary>A region in memory with its seeder, served by our server over one kind of line; the server can be ended and started anew.</summary>
internal sealed class RegionHost : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly RegionLine _line;
    private readonly FarspanServerOptions _options;
    private StreamListener? _listener;
    private FarspanServer? _server;
    private Task _serving = Task.CompletedTask;

    private RegionHost(RegionLine line, Seeder seeder, ScriptedHost host, FarspanServerOptions? options)
    {
        _line = line;
        Seeder = seeder;
        Program = host;
        Held = new HeldSeeder(seeder);
        _options = options ?? new FarspanServerOptions();
        if (line == RegionLine.Tls)
            _options = _options with { Tls = new SslServerAuthenticationOptions { ServerCertificate = Certificate() } };
        Start();
    }

    public Seeder Seeder { get; }

    /// <summary>The seeder as it is served.</summary>
    public HeldSeeder Held { get; }

    public ScriptedHost Program { get; }

    public FarspanClientOptions Options => new()
    {
        Endpoint = _listener!.Endpoint, Tls = _line == RegionLine.Tls ? new FarspanTlsOptions { VerifyPeer = false } : null,
    };

    public static async Task<RegionHost> StartAsync(
        RegionLine line = RegionLine.Unix, long length = (1 << 20) + 100, int chunkSize = 4096, FarspanServerOptions? options = null)
    {
        var host = new ScriptedHost();
        var disk = new SimulatedDisk(1, TimeProvider.System) { IsSlow = false };
        var seeder = await Seeder.OpenAsync(disk.Open(), new MemoryBackend(length), host, new SeederOptions { ChunkSize = chunkSize });
        return new RegionHost(line, seeder, host, options);
    }

    public void Start()
    {
        var endpoint = _line == RegionLine.Unix ? StreamEndpoint.Unix(_directory["s"]) : _listener?.Endpoint ?? StreamEndpoint.Tcp("127.0.0.1", 0);
        _server = new FarspanServer([FarspanExport.Of(Held)], _options);
        _listener = StreamListener.Bind(endpoint);
        _serving = _server.ServeAsync(_listener);
    }

    public ValueTask<FarspanSeeder> ConnectAsync(FarspanSeederOptions? options = null) => FarspanSeeder.ConnectAsync(Options, options);

    /// <summary>Ends the server at once, as a kill would.</summary>
    public async Task StopAsync()
    {
        _listener!.Dispose();
        await _serving;
        await _server!.StopAsync(new CancellationToken(canceled: true));
        await _server.DisposeAsync();
        Xunit.Assert.Equal(0, _server.ConnectionCount);
        Xunit.Assert.Equal(0, _server.BytesInFlight);
        Xunit.Assert.Equal(0, _server.OutstandingBuffers);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await Seeder.DisposeAsync();
        _directory.Dispose();
    }

    private static X509Certificate2 Certificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256).CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), password: null);
    }
}
