using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Farspan.Transports;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdServer;

/// <summary>TLS as libnbd, qemu and openssl speak it, and what must not work.</summary>
public sealed class TlsTests
{
    private static readonly byte[] StartTls = [.. "IHAVEOPT"u8, 0, 0, 0, 5, 0, 0, 0, 0];
    private static readonly byte[] List = [.. "IHAVEOPT"u8, 0, 0, 0, 3, 0, 0, 0, 0];
    private static readonly byte[] StructuredReply = [.. "IHAVEOPT"u8, 0, 0, 0, 8, 0, 0, 0, 0];

    [RequiresFact("certtool", "nbdinfo", "nbdcopy")]
    public async Task Libnbd_CopiesOverTls_BothWays()
    {
        await using var server = await StartAsync(required: true);
        byte[] content = new byte[20 << 20];
        new Random(1).NextBytes(content);
        await File.WriteAllBytesAsync(server.Running.Directory["in"], content);
        string info = await PeerProcess.RunOkAsync("nbdinfo", [server.Uri]);
        Assert.Contains("with TLS", info, StringComparison.Ordinal);
        await PeerProcess.RunOkAsync("nbdcopy", [server.Running.Directory["in"], server.Uri]);
        await PeerProcess.RunOkAsync("nbdcopy", [server.Uri, server.Running.Directory["out"]]);
        byte[] copy = await File.ReadAllBytesAsync(server.Running.Directory["out"]);
        Assert.True(content.AsSpan().SequenceEqual(copy.AsSpan(0, content.Length)));
    }

    [RequiresFact("certtool", "qemu-img", "qemu-io")]
    public async Task Qemu_UsesTls()
    {
        await using var server = await StartAsync(required: true);
        string[] tls =
        [
            "--object", $"tls-creds-x509,id=tls0,dir={server.Certificates},endpoint=client",
            "--image-opts", $"driver=nbd,server.type=inet,server.host=127.0.0.1,server.port={server.Port},tls-creds=tls0",
        ];
        Assert.Contains("32 MiB", await PeerProcess.RunOkAsync("qemu-img", ["info", .. tls]), StringComparison.Ordinal);
        string io = await PeerProcess.RunOkAsync("qemu-io", [.. tls, "-c", "write -P 0xab 4k 1M", "-c", "read -P 0xab 4k 1M"]);
        Assert.DoesNotContain("failed", io, StringComparison.OrdinalIgnoreCase);
    }

    [RequiresFact("certtool", "nbdinfo")]
    public async Task RequiredTls_TurnsAwayPlainText_AndOptionalTlsDoesNot()
    {
        await using var strict = await StartAsync(required: true);
        await using var refused = await PeerProcess.RunAsync("nbdinfo", [strict.PlainUri]);
        Assert.NotEqual(0, refused.ExitCode);
        await using var lenient = await StartAsync(required: false);
        Assert.Contains("without TLS", await PeerProcess.RunOkAsync("nbdinfo", [lenient.PlainUri]), StringComparison.Ordinal);
        Assert.Contains("with TLS", await PeerProcess.RunOkAsync("nbdinfo", [lenient.Uri]), StringComparison.Ordinal);
    }

    [RequiresFact("certtool", "nbdinfo")]
    public async Task MutualTls_TurnsAwayWhoHasNoCertificateOrAStrangers()
    {
        await using var server = await StartAsync(required: true, mutual: true);
        Assert.Contains("with TLS", await PeerProcess.RunOkAsync("nbdinfo", [server.Uri]), StringComparison.Ordinal);
        string bare = server.Running.Directory["bare"];
        Directory.CreateDirectory(bare);
        File.Copy(Path.Combine(server.Certificates, "ca-cert.pem"), Path.Combine(bare, "ca-cert.pem"));
        string strangers = server.Running.Directory["strangers"];
        await Certificates.MakeAsync(strangers);
        File.Copy(Path.Combine(server.Certificates, "ca-cert.pem"), Path.Combine(strangers, "ca-cert.pem"), overwrite: true);
        foreach (string certificates in new[] { bare, strangers })
        {
            await using var refused = await PeerProcess.RunAsync("nbdinfo", [server.UriWith(certificates)]);
            Assert.NotEqual(0, refused.ExitCode);
        }

        Assert.Contains("with TLS", await PeerProcess.RunOkAsync("nbdinfo", [server.Uri]), StringComparison.Ordinal);
    }

    [RequiresFact("certtool", "openssl")]
    public async Task OpensslClient_SeesTls12And13_AndNothingOlder()
    {
        await using var server = await StartAsync(required: true);
        foreach (var (version, works) in new[] { ("-tls1_3", true), ("-tls1_2", true), ("-tls1_1", false) })
        {
            // s_client does not know NBD's way into TLS: a little relay says the words before it.
            using var relay = await StartTlsRelay.StartAsync(server.Port, StartTls);
            await using var client = await PeerProcess.RunAsync(
                "openssl", ["s_client", "-connect", $"127.0.0.1:{relay.Port}", version, "-cipher", "DEFAULT@SECLEVEL=0", "-brief"], input: "");
            string said = client.Output + client.Error;
            Assert.Equal(works, said.Contains("CONNECTION ESTABLISHED", StringComparison.Ordinal));
        }
    }

    [RequiresFact("certtool")]
    public async Task Cve20213716_BytesInPlainTextBehindStartTls_NeverCount()
    {
        // Some of these look like the start of a longer TLS record, which is waited for.
        await using var server = await StartAsync(required: false, handshakeTimeout: TimeSpan.FromSeconds(2));
        foreach (byte[] injected in new[] { StructuredReply, List, [0x16, 0x03, 0x01], new byte[1] })
        {
            await using var stream = await ConnectAsync(server);
            await stream.WriteAsync((byte[])[.. StartTls, .. injected]);
            await ReadReplyAsync(stream, 1);
            await using var secure = Secure(stream);
            var failed = await Assert.ThrowsAnyAsync<Exception>(() => secure.AuthenticateAsClientAsync("localhost").WaitAsync(TimeSpan.FromSeconds(90)));
            Assert.True(failed is AuthenticationException or IOException, failed.ToString());
        }
    }

    [RequiresFact("certtool")]
    public async Task Cve20213716_WhatWasNegotiatedInPlainText_IsForgotten()
    {
        await using var server = await StartAsync(required: false);
        await using var stream = await ConnectAsync(server);
        await stream.WriteAsync(StructuredReply);
        await ReadReplyAsync(stream, 1);
        await stream.WriteAsync(StartTls);
        await ReadReplyAsync(stream, 1);
        await using var secure = Secure(stream);
        await secure.AuthenticateAsClientAsync("localhost");
        await secure.WriteAsync(StartTls);
        await ReadReplyAsync(secure, 0x80000003);
        await secure.WriteAsync((byte[])[.. "IHAVEOPT"u8, 0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0]);
        byte[] info = await ReadReplyAsync(secure, 3);
        Assert.Equal(0, info[11] & 0x80);
        await ReadReplyAsync(secure, 1);
        byte[] read = new byte[28];
        Convert.FromHexString("25609513").CopyTo(read, 0);
        read[27] = 4;
        await secure.WriteAsync(read);
        byte[] reply = new byte[20];
        await secure.ReadExactlyAsync(reply);
        Assert.Equal("67446698000000000000000000000000" + "00000000", Convert.ToHexString(reply));
    }

    [RequiresFact("certtool")]
    public async Task RequiredTls_AnswersEveryOtherOptionWithTlsRequired()
    {
        await using var server = await StartAsync(required: true);
        await using var stream = await ConnectAsync(server);
        foreach (byte option in new byte[] { 3, 4, 6, 7, 8, 9, 10, 11, 99 })
        {
            await stream.WriteAsync((byte[])[.. "IHAVEOPT"u8, 0, 0, 0, option, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0]);
            await ReadReplyAsync(stream, 0x80000005);
        }

        await stream.WriteAsync((byte[])[.. "IHAVEOPT"u8, 0, 0, 0, 1, 0, 0, 0, 0]);
        Assert.Equal(0, await stream.ReadAsync(new byte[1]));
    }

    [RequiresFact("certtool")]
    public async Task RequiredTls_TurnsAwayAClientWithoutFixedNewstyle()
    {
        await using var server = await StartAsync(required: true);
        await using var stream = await ConnectAsync(server, clientFlags: 0);
        await stream.WriteAsync(StartTls);
        Assert.Equal(0, await stream.ReadAsync(new byte[1]));
    }

    [RequiresFact("certtool")]
    public async Task SilenceAfterStartTls_EndsWithTheHandshakeTimeout()
    {
        await using var server = await StartAsync(required: true, handshakeTimeout: TimeSpan.FromMilliseconds(500));
        await using var stream = await ConnectAsync(server);
        await stream.WriteAsync(StartTls);
        await ReadReplyAsync(stream, 1);
        Assert.Equal(0, await stream.ReadAsync(new byte[1]).AsTask().WaitAsync(TimeSpan.FromSeconds(90)));
    }

    [RequiresTheory("certtool")]
    [InlineData("rsa", 1)]
    [InlineData("ecdsa", 12)]
    public async Task KeysOfCerttool_AreRead(string keyType, int count)
    {
        // Every second EC key of GnuTLS has a leading zero.
        for (int i = 0; i < count; i++)
        {
            using var directory = new TemporaryDirectory();
            await Certificates.MakeAsync(directory.Path, keyType);
            await using var server = new Nbd.Server.NbdServer(
                [new NbdExport { Backend = new MemoryBackend(1) }], new NbdServerOptions { Tls = new NbdServerTls { CertificateDirectory = directory.Path } });
            Assert.Equal(0, server.ConnectionCount);
        }
    }

    [Fact]
    public void MissingCertificates_AreOneClearError()
    {
        using var directory = new TemporaryDirectory();
        using var memory = new MemoryStream();
        var error = Assert.Throws<IOException>(() => new Nbd.Server.NbdServer(
            [new NbdExport { Backend = new MemoryBackend(1) }], new NbdServerOptions { Tls = new NbdServerTls { CertificateDirectory = directory.Path } }));
        Assert.Contains(directory.Path, error.Message, StringComparison.Ordinal);
        File.WriteAllText(directory["server-cert.pem"], "nonsense");
        File.WriteAllText(directory["server-key.pem"], "nonsense");
        error = Assert.Throws<IOException>(() => new Nbd.Server.NbdServer(
            [new NbdExport { Backend = new MemoryBackend(1) }], new NbdServerOptions { Tls = new NbdServerTls { CertificateDirectory = directory.Path } }));
        Assert.Contains("server-key.pem", error.Message, StringComparison.Ordinal);
    }

    private static SslStream Secure(NetworkStream stream)
#pragma warning disable CA5359 // What is tested with it is the way into TLS, not the certificate.
        => new(stream, leaveInnerStreamOpen: false, userCertificateValidationCallback: static (_, _, _, _) => true);
#pragma warning restore CA5359

    private static async Task<NetworkStream> ConnectAsync(TlsServer server, byte clientFlags = 3)
    {
        var stream = await StreamDialer.ConnectAsync(StreamEndpoint.Tcp("127.0.0.1", server.Port), TimeSpan.FromSeconds(90));
        await stream.ReadExactlyAsync(new byte[18]);
        await stream.WriteAsync((byte[])[0, 0, 0, clientFlags]);
        return stream;
    }

    private static async Task<byte[]> ReadReplyAsync(Stream stream, uint type)
    {
        byte[] header = new byte[20];
        await stream.ReadExactlyAsync(header).AsTask().WaitAsync(TimeSpan.FromSeconds(90));
        Assert.Equal(type.ToString("x8"), Convert.ToHexString(header, 12, 4).ToLowerInvariant());
        byte[] data = new byte[(header[18] << 8) + header[19]];
        await stream.ReadExactlyAsync(data);
        return data;
    }

    private static async Task<TlsServer> StartAsync(bool required, bool mutual = false, TimeSpan? handshakeTimeout = null)
    {
        var certificates = new TemporaryDirectory();
        await Certificates.MakeAsync(certificates.Path);
        var options = new NbdServerOptions
        {
            Tls = new NbdServerTls { CertificateDirectory = certificates.Path, Required = required, RequireClientCertificate = mutual },
            HandshakeTimeout = handshakeTimeout ?? TimeSpan.FromSeconds(30),
        };
        var running = RunningServer.Start(new MemoryBackend(32 << 20), options);
        return new TlsServer(running, certificates, running.Listen(StreamEndpoint.Tcp("127.0.0.1", 0)).Port);
    }

    private sealed record TlsServer(RunningServer Running, TemporaryDirectory Directory, int Port) : IAsyncDisposable
    {
        public string Certificates => Directory.Path;

        public string Uri => UriWith(Certificates);

        public string PlainUri => $"nbd://127.0.0.1:{Port}";

        public string UriWith(string certificates) => $"nbds://localhost:{Port}/?tls-certificates={certificates}";

        public async ValueTask DisposeAsync()
        {
            await Running.DisposeAsync();
            Directory.Dispose();
        }
    }
}
