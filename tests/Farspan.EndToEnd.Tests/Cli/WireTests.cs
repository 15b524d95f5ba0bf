using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Farspan.Transports;
using Farspan.Wire.Client;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>Farspan's own wire between two of its programs.</summary>
public sealed class WireTests
{
    [RequiresFact("cmp", "nbdcopy")]
    public async Task OneBackend_IsServedBothWaysAtOnce_AndCopied()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await PeerProcess.RunOkAsync("dd", ["if=/dev/urandom", $"of={directory["random.img"]}", "bs=1M", "count=8", "status=none"]);
        await using var server = await farspan.ServeAsync(
            "file:disk.img?size=8MiB", "--listen", "farspan+unix:///?socket=f.sock", "--listen", "nbd+unix:///?socket=n.sock");
        string own = $"farspan+unix:///?socket={directory["f.sock"]}";
        string info = await farspan.OkAsync("info", own, "--json");
        Assert.Contains("\"leasing\"", info);
        Assert.Contains("8388608", info);
        await farspan.OkAsync("copy", "file:random.img", own);
        await PeerProcess.RunOkAsync("nbdcopy", [$"nbd+unix:///?socket={directory["n.sock"]}", directory["nbd.img"]]);
        await farspan.OkAsync("copy", own, "file:back.img");
        await PeerProcess.RunOkAsync("cmp", [directory["random.img"], directory["nbd.img"]]);
        await PeerProcess.RunOkAsync("cmp", [directory["random.img"], directory["back.img"]]);
        await server.SignalAsync("INT");
        await server.WaitForExitAsync(TimeSpan.FromSeconds(60));
        Assert.True(server.ExitCode == 0, server.Report);
        await PeerProcess.RunOkAsync("cmp", [directory["random.img"], directory["disk.img"]]);
    }

    [RequiresFact("cmp")]
    public async Task OtherAddresses_AskForTlsOrInsecure()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        Assert.Contains("--insecure", await farspan.FailsAsync(2, "serve", "memory:1MiB", "--listen", "farspan://0.0.0.0:0"));
        Assert.Contains("--tls-certificates", await farspan.FailsAsync(2, "serve", "memory:1MiB", "--listen", "farspans://127.0.0.1:0"));
    }

    [RequiresFact("openssl")]
    public async Task Tls_ServesThoseWhoTrustItsCertificate()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        string pki = Directory.CreateDirectory(directory["pki"]).FullName;
        await PeerProcess.RunOkAsync(
            "openssl",
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", $"{pki}/server-key.pem", "-out", $"{pki}/server-cert.pem", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        File.Copy($"{pki}/server-cert.pem", $"{pki}/ca-cert.pem");
        await using var server = await farspan.ServeAsync("memory:1MiB", "--tls-certificates", pki, "--listen", "farspans+unix:///?socket=f.sock");
        string uri = $"farspans+unix:///?socket={directory["f.sock"]}&tls-hostname=localhost";
        Assert.Contains("1048576", await farspan.OkAsync("info", $"{uri}&tls-certificates={pki}", "--json"));
        await farspan.FailsAsync(1, "info", uri);
        await farspan.FailsAsync(1, "info", $"farspan+unix:///?socket={directory["f.sock"]}", "--timeout", "5s");
    }

    [RequiresFact("cmp")]
    public async Task ServerKilledUnderLoad_LosesNothing_AndKeepsTheLease()
    {
        const int Size = 8 << 20;
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        string[] serve = ["file:disk.img?size=8MiB", "--listen", "farspan+unix:///?socket=f.sock"];
        await using var first = await farspan.ServeAsync(serve);
        await using var client = await FarspanClientBackend.ConnectAsync(
            new FarspanClientOptions { Endpoint = StreamEndpoint.Unix(directory["f.sock"]), ReconnectTimeout = TimeSpan.FromMinutes(2), RequestTimeout = TimeSpan.FromMinutes(2) });
        var lease = await client.AcquireAsync("test");
        byte[] model = new byte[Size];
        var half = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var load = Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (int i = 0; i < 2000; i++)
            {
                int offset = (worker << 20) + random.Next((1 << 20) - 5000);
                var piece = model.AsMemory(offset, 1 + random.Next(5000));
                random.NextBytes(piece.Span);
                await lease.Backend.WriteAsync(offset, piece);
                if (i % 500 == 499)
                    await lease.Backend.FlushAsync();
                if (i == 1000)
                    half.TrySetResult();
            }
        })));
        await half.Task;
        await first.SignalAsync("KILL");
        await first.WaitForExitAsync(TimeSpan.FromSeconds(60));
        await using var second = await farspan.ServeAsync(serve);
        await load;
        await lease.Backend.FlushAsync();
        Assert.False(lease.Lost.IsCancellationRequested);
        long epoch = lease.Epoch;
        await lease.DisposeAsync();
        await using (var next = await client.AcquireAsync("test"))
            Assert.Equal(epoch + 1, next.Epoch);
        await second.SignalAsync("INT");
        await second.WaitForExitAsync(TimeSpan.FromSeconds(60));
        byte[] stored = await File.ReadAllBytesAsync(directory["disk.img"]);
        Assert.True(model.AsSpan().SequenceEqual(stored));
    }

    [RequiresFact("fuse")]
    public async Task ItsExport_IsMounted()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var server = await farspan.ServeAsync("memory:8MiB", "--listen", "farspan+unix:///?socket=f.sock");
        byte[] data = new byte[8 << 20];
        new Random(1).NextBytes(data);
        await farspan.OkAsync("mount", "farspan+unix:///?socket=f.sock", "m.img", "--direct");
        await using (var file = new FileStream(directory["m.img"], FileMode.Open))
        {
            await file.WriteAsync(data);
            file.Flush(flushToDisk: true);
        }

        await farspan.OkAsync("umount", "m.img");
        await using var backend = await new BackendRegistry().AddCoreBackends().OpenAsync($"farspan+unix:///?socket={directory["f.sock"]}");
        byte[] back = new byte[data.Length];
        await backend.ReadAsync(0, back);
        Assert.Equal(data, back);
    }
}
