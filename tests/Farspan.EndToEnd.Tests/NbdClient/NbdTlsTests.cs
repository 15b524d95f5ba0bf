using Farspan.Backends;
using Farspan.Nbd;
using Farspan.TestKit;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdClient;

public sealed class NbdTlsTests
{
    private static readonly BackendRegistry Registry = new BackendRegistry().AddNbdBackends();

    [RequiresFact("nbdkit")]
    public async Task RightCertificates_GiveAnEncryptedDisk()
    {
        await using var server = await StartAsync("localhost", withClient: false);
        await using var backend = await OpenAsync(server, "tls-hostname=localhost");
        byte[] data = new byte[3_000_000];
        new Random(1).NextBytes(data);
        await backend.WriteAsync(12345, data);
        await backend.FlushAsync();
        byte[] back = new byte[data.Length];
        await backend.ReadAsync(12345, back);
        Assert.Equal(data, back);
    }

    [RequiresFact("nbdkit")]
    public async Task ServerThatAsksForTheClient_GetsItsCertificate()
    {
        await using var server = await StartAsync("localhost", withClient: true, "--tls-verify-peer");
        await using var backend = await OpenAsync(server, "tls-hostname=localhost");
        await backend.ReadAsync(0, new byte[10]);
    }

    [RequiresFact("nbdkit")]
    public async Task ServerThatAsksForTheClient_RefusesOneWithoutCertificate()
    {
        await using var server = await StartAsync("localhost", withClient: false, "--tls-verify-peer");
        await AssertRefusedAsync(server, "tls-hostname=localhost");
    }

    [RequiresFact("nbdkit")]
    public async Task OtherName_IsRefused()
    {
        await using var server = await StartAsync("elsewhere.example", withClient: false);
        await AssertRefusedAsync(server, "tls-hostname=localhost");
    }

    [RequiresFact("nbdkit")]
    public async Task OtherAuthority_IsRefused_AlsoTheSystems()
    {
        await using var server = await StartAsync("localhost", withClient: false);
        TestCertificates.Write(server["others"], "localhost", withClient: false);
        await AssertRefusedAsync(server, "tls-hostname=localhost", server["others"]);
        var error = await Assert.ThrowsAsync<BackendException>(
            async () => await Registry.OpenAsync($"nbds+unix:///?socket={server.Socket}&tls-hostname=localhost"));
        Assert.Equal(BackendError.AccessDenied, error.Error);
    }

    [RequiresFact("nbdkit")]
    public async Task UnverifiedPeer_IsTakenOnlyWhenAskedFor()
    {
        await using var server = await StartAsync("elsewhere.example", withClient: false);
        await using var backend = await OpenAsync(server, "tls-verify-peer=off");
        await backend.ReadAsync(0, new byte[10]);
    }

    [RequiresFact("nbdkit")]
    public async Task UnixSocketWithoutName_SaysWhatToDo()
    {
        await using var server = await StartAsync("localhost", withClient: false);
        var error = await Assert.ThrowsAsync<BackendException>(async () => await OpenAsync(server, "connections=1"));
        Assert.Contains("tls-hostname", error.Message, StringComparison.Ordinal);
    }

    [RequiresFact("nbdkit")]
    public async Task ServerWithoutTls_IsRefused()
    {
        await using var server = await NbdPeer.StartAsync("--tls=off", "memory", "1M");
        TestCertificates.Write(server["certs"], "localhost", withClient: false);
        var error = await Assert.ThrowsAsync<BackendException>(async () => await OpenAsync(server, "tls-hostname=localhost"));
        Assert.Equal(BackendError.AccessDenied, error.Error);
        Assert.Contains("no TLS", error.Message, StringComparison.Ordinal);
    }

    [RequiresFact("nbdkit")]
    public async Task ServerThatRequiresTls_SaysSoToAPlainClient()
    {
        await using var server = await StartAsync("localhost", withClient: false);
        var error = await Assert.ThrowsAsync<BackendException>(async () => await Registry.OpenAsync($"nbd+unix:///?socket={server.Socket}"));
        Assert.Equal(BackendError.AccessDenied, error.Error);
        Assert.Contains("nbds", error.Message, StringComparison.Ordinal);
    }

    private static async Task AssertRefusedAsync(NbdPeer server, string parameters, string? certificates = null)
    {
        var error = await Assert.ThrowsAsync<BackendException>(async () =>
        {
            // With TLS 1.3 a client hears that its certificate is not enough only after the handshake.
            await using var backend = await OpenAsync(server, parameters, certificates);
        });
        Assert.True(error.Error is BackendError.AccessDenied or BackendError.Disconnected, $"{error}");
    }

    private static async Task<NbdPeer> StartAsync(string name, bool withClient, params string[] arguments)
    {
        var directory = new TemporaryDirectory();
        TestCertificates.Write(directory["certs"], name, withClient);
        return await NbdPeer.StartInAsync(directory, ["--tls=require", "--tls-certificates={dir}/certs", .. arguments, "memory", "16M"]);
    }

    private static ValueTask<IBackend> OpenAsync(NbdPeer server, string parameters, string? certificates = null)
        => Registry.OpenAsync($"nbds+unix:///?socket={server.Socket}&tls-certificates={certificates ?? server["certs"]}&{parameters}");
}
