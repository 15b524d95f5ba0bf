using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

public sealed class ServeTests
{
    [RequiresFact("nbdinfo", "nbdcopy", "qemu-img", "cmp")]
    public async Task ServedFile_IsUsedByStockClientsUntouched()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await PeerProcess.RunOkAsync("dd", ["if=/dev/urandom", $"of={directory["random.img"]}", "bs=1M", "count=8", "status=none"]);
        await using var server = await farspan.ServeAsync("file:disk.img?size=8MiB", "--listen", "nbd+unix:///?socket=d.sock");
        string uri = $"nbd+unix:///?socket={directory["d.sock"]}";

        Assert.Contains("\"export-size\": 8388608", await PeerProcess.RunOkAsync("nbdinfo", ["--json", uri]));
        await PeerProcess.RunOkAsync("nbdcopy", ["--flush", directory["random.img"], uri]);
        await PeerProcess.RunOkAsync("nbdcopy", [uri, directory["back.img"]]);
        await PeerProcess.RunOkAsync("cmp", [directory["random.img"], directory["back.img"]]);
        await PeerProcess.RunOkAsync("qemu-img", ["compare", "-f", "raw", "-F", "raw", directory["random.img"], uri]);

        await server.SignalAsync("INT");
        await server.WaitForExitAsync(TimeSpan.FromSeconds(60));
        Assert.True(server.ExitCode == 0, server.Report);
        Assert.Contains("everything is flushed", server.Output);
        await PeerProcess.RunOkAsync("cmp", [directory["random.img"], directory["disk.img"]]);
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("nbdinfo")]
    public async Task SeveralListenersAndPortZero_EachUriThatIsPrintedWorks()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var server = await farspan.ServeAsync(
            "memory:1MiB", "--name", "a b", "--description", "words", "--listen", "nbd://127.0.0.1:0", "--listen", "nbd://[::1]:0", "--listen", "nbd+unix:///?socket=s");
        await server.WaitUntilAsync(peer => peer.Output.Split('\n').Count(line => line.StartsWith("serving ", StringComparison.Ordinal)) == 3);
        foreach (string line in server.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string answer = await PeerProcess.RunOkAsync("nbdinfo", [line[(line.LastIndexOf(" at ", StringComparison.Ordinal) + 4)..]]);
            Assert.Contains("export=\"a b\"", answer);
            Assert.Contains("words", answer);
        }
    }

    [RequiresFact("nbdsh")]
    public async Task ReadOnly_RefusesWrites()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var server = await farspan.ServeAsync("memory:1MiB", "--read-only", "--listen", "nbd+unix:///?socket=s");
        // The module belongs to the system's own Python, which need not be the first one on the PATH.
        await using var client = await PeerProcess.RunAsync(
            "/usr/bin/python3",
            ["-c", "import nbd, sys; h = nbd.NBD(); h.connect_uri(sys.argv[1]); print(h.is_read_only()); h.set_strict_mode(0); h.pwrite(b'x'*512, 0)",
                $"nbd+unix:///?socket={directory["s"]}"]);
        Assert.Contains("True", client.Output);
        Assert.Contains("Operation not permitted", client.Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task AddressInUse_OneLineThatNamesIt()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var server = await farspan.ServeAsync("memory:1MiB", "--listen", "nbd+unix:///?socket=s");
        string line = await farspan.FailsAsync(1, "serve", "memory:1MiB", "--listen", "nbd+unix:///?socket=s");
        Assert.StartsWith("farspan serve: ", line, StringComparison.Ordinal);
        Assert.Contains(directory["s"], line);
    }

    [RequiresFact("nbdinfo", "certtool")]
    public async Task Tls_ServesOthersOnlyEncrypted()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await MakeCertificatesAsync(directory);
        await using var server = await farspan.ServeAsync(
            "memory:1MiB", "--listen", "nbd://0.0.0.0:0", "--listen", "nbds+unix:///?socket=s", "--tls-certificates", directory.Path);
        string uri = $"nbds+unix:///?socket={directory["s"]}&tls-certificates={directory.Path}&tls-hostname=localhost";
        Assert.Contains("with TLS", await PeerProcess.RunOkAsync("nbdinfo", [uri]));
        string info = await farspan.OkAsync("info", uri);
        Assert.Contains("TLS", info);
        await using var plain = await PeerProcess.RunAsync("nbdinfo", [$"nbd+unix:///?socket={directory["s"]}"]);
        Assert.NotEqual(0, plain.ExitCode);
    }

    private static async Task MakeCertificatesAsync(TemporaryDirectory directory)
    {
        await File.WriteAllTextAsync(directory["ca.info"], "cn = test\nca\ncert_signing_key\n");
        await File.WriteAllTextAsync(directory["server.info"], "cn = localhost\ndns_name = localhost\ntls_www_server\nencryption_key\nsigning_key\n");
        await PeerProcess.RunOkAsync("certtool", ["--generate-privkey", "--outfile", directory["ca-key.pem"]]);
        await PeerProcess.RunOkAsync("certtool", ["--generate-privkey", "--outfile", directory["server-key.pem"]]);
        await PeerProcess.RunOkAsync(
            "certtool", ["--generate-self-signed", "--load-privkey", directory["ca-key.pem"], "--template", directory["ca.info"], "--outfile", directory["ca-cert.pem"]]);
        await PeerProcess.RunOkAsync(
            "certtool",
            [
                "--generate-certificate", "--load-ca-certificate", directory["ca-cert.pem"], "--load-ca-privkey", directory["ca-key.pem"],
                "--load-privkey", directory["server-key.pem"], "--template", directory["server.info"], "--outfile", directory["server-cert.pem"],
            ]);
    }
}
