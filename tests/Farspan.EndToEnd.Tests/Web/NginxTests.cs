using Farspan.Backends;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Web;

public sealed class NginxTests
{
    private static readonly BackendRegistry Backends = new BackendRegistry().AddCoreBackends();

    [RequiresFact("nginx")]
    public async Task ManyReadsAtOnce_AreThoseOfTheFile()
    {
        await using var server = await NginxPeer.StartAsync();
        byte[] contents = RandomBytes(3, 8 << 20);
        await File.WriteAllBytesAsync(server.PathOf("disk.img"), contents);
        await using var backend = await Backends.OpenAsync($"{server.Address}/disk.img");
        await Task.WhenAll(Enumerable.Range(0, 32).Select(async worker =>
        {
            var random = new Random(worker);
            for (int i = 0; i < 20; i++)
            {
                int offset = random.Next(contents.Length);
                byte[] buffer = new byte[random.Next(Math.Min(contents.Length - offset, 300_000))];
                await backend.ReadAsync(offset, buffer);
                Assert.True(contents.AsSpan(offset, buffer.Length).SequenceEqual(buffer), $"{buffer.Length} bytes at {offset}");
            }
        }));
    }

    [RequiresFact("nginx")]
    public async Task FileReplacedMeanwhile_IsAnErrorAndNeverMixedBytes()
    {
        await using var server = await NginxPeer.StartAsync();
        string path = server.PathOf("disk.img");
        await File.WriteAllBytesAsync(path, RandomBytes(3, 100_000));
        File.SetLastWriteTimeUtc(path, DateTime.UnixEpoch.AddYears(40));
        await using var backend = await Backends.OpenAsync($"{server.Address}/disk.img");
        await backend.ReadAsync(0, new byte[50_000]);
        await File.WriteAllBytesAsync(path, RandomBytes(4, 100_000));
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(50_000, new byte[50_000]));
        Assert.Contains("was changed while it was open", error.Message);
        Assert.False(error.IsTransient);
    }

    [RequiresFact("nginx")]
    public async Task Missing_Empty_AndCompressedFiles_AreToldApart()
    {
        await using var server = await NginxPeer.StartAsync(extra: "gzip on; gzip_types text/plain; gzip_min_length 1;");
        await File.WriteAllTextAsync(server.PathOf("empty"), "");
        await File.WriteAllTextAsync(server.PathOf("text.txt"), new string('x', 100_000));
        Assert.Equal(BackendError.NotFound, (await Assert.ThrowsAsync<BackendException>(async () => await Backends.OpenAsync($"{server.Address}/none"))).Error);
        await Assert.ThrowsAsync<BackendException>(async () => await Backends.OpenAsync($"{server.Address}/empty"));
        await using var text = await Backends.OpenAsync($"{server.Address}/text.txt");
        Assert.Equal(100_000, text.Length);
        byte[] end = new byte[10];
        await text.ReadAsync(99_990, end);
        Assert.All(end, value => Assert.Equal((byte)'x', value));
    }

    [RequiresFact("nginx")]
    public async Task Password_IsAskedForAndTaken()
    {
        await using var server = await NginxPeer.StartAsync();
        await File.WriteAllBytesAsync(server.PathOf("disk.img"), RandomBytes(3, 1000));
        Assert.Equal(
            BackendError.AccessDenied,
            (await Assert.ThrowsAsync<BackendException>(async () => await Backends.OpenAsync($"{server.Address}/secret/disk.img"))).Error);
        await using var backend = await Backends.OpenAsync($"{server.Address.Replace("//", "//me:secret@")}/secret/disk.img");
        Assert.Equal(1000, backend.Length);
    }

    [RequiresFact("nginx")]
    public async Task Program_InfoCopyServeAndMountOverTls()
    {
        using var directory = new TemporaryDirectory();
        TestCertificates.Write(directory["tls"], "localhost", withClient: false);
        await using var server = await NginxPeer.StartAsync(directory["tls"]);
        byte[] contents = RandomBytes(5, 3_000_001);
        await File.WriteAllBytesAsync(server.PathOf("disk.img"), contents);
        string uri = $"{server.Address}/disk.img";

        var stranger = new FarspanProcess(directory);
        Assert.Contains("No TLS with the server", await stranger.FailsAsync(1, "info", uri));

        var farspan = new FarspanProcess(directory, new Dictionary<string, string> { ["SSL_CERT_FILE"] = Path.Combine(directory["tls"], "ca-cert.pem") });
        Assert.Contains("read-only", await farspan.OkAsync("info", uri));
        await farspan.OkAsync("copy", uri, "file:copy.img", "--verify");
        Assert.Equal(contents, await File.ReadAllBytesAsync(directory["copy.img"]));
        Assert.Contains("can only be read", await farspan.FailsAsync(1, "copy", "file:copy.img", uri));
        if (Requirement.Missing(["fuse"]) is null)
        {
            await farspan.OkAsync("mount", uri, directory["mounted"]);
            Assert.Equal(contents, await File.ReadAllBytesAsync(directory["mounted"]));
            await farspan.OkAsync("umount", directory["mounted"]);
        }

        await using (await farspan.ServeAsync(uri, "--listen", $"farspan+unix:///?socket={directory["s"]}"))
            await farspan.OkAsync("copy", $"farspan+unix:///?socket={directory["s"]}", "file:second.img");
        Assert.Equal(contents, await File.ReadAllBytesAsync(directory["second.img"]));
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("python3")]
    public async Task PythonsServer_WhichIgnoresRanges_IsRefused()
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllBytesAsync(directory["disk.img"], RandomBytes(3, 50_000_000));
        await using var python = PeerProcess.Start("python3", ["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"], directory.Path);
        await python.WaitUntilAsync(peer => peer.Output.Contains(" port ", StringComparison.Ordinal));
        string port = python.Output.Split(" port ")[1].Split(' ')[0];
        var error = await Assert.ThrowsAsync<BackendException>(async () => await Backends.OpenAsync($"http://127.0.0.1:{port}/disk.img"));
        Assert.Equal(BackendError.NotSupported, error.Error);
        Assert.Contains("sends no ranges of bytes", error.Message);
    }

    private static byte[] RandomBytes(int seed, int length)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
