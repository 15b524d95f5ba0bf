using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdServer;

/// <summary>qemu, fio and nbdsh against our server.</summary>
public sealed class PeerTests
{
    [RequiresFact("qemu-img")]
    public async Task QemuImg_ConvertsComparesAndMaps()
    {
        await using var server = RunningServer.Start(new MemoryBackend(32 << 20));
        byte[] content = new byte[32 << 20];
        new Random(1).NextBytes(content.AsSpan(1 << 20, 9 << 20));
        string source = server.Directory["in"];
        await File.WriteAllBytesAsync(source, content);
        Assert.Contains("32 MiB", await PeerProcess.RunOkAsync("qemu-img", ["info", "-f", "raw", server.Uri]), StringComparison.Ordinal);
        await PeerProcess.RunOkAsync("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", source, server.Uri]);
        Assert.Contains(
            "identical", await PeerProcess.RunOkAsync("qemu-img", ["compare", "-f", "raw", "-F", "raw", source, server.Uri]), StringComparison.Ordinal);
        await PeerProcess.RunOkAsync("qemu-img", ["convert", "-f", "raw", "-O", "raw", server.Uri, server.Directory["out"]]);
        byte[] copy = await File.ReadAllBytesAsync(server.Directory["out"]);
        Assert.True(content.AsSpan().SequenceEqual(copy));
        string map = await PeerProcess.RunOkAsync("qemu-img", ["map", "--output=json", "-f", "raw", server.Uri]);
        Assert.Contains("\"zero\": true", map, StringComparison.Ordinal);
        Assert.Contains("\"zero\": false", map, StringComparison.Ordinal);
    }

    [RequiresFact("qemu-io")]
    public async Task QemuIo_PatternsHold()
    {
        await using var server = RunningServer.Start(new MemoryBackend(32 << 20));
        string[] commands =
        [
            "write -P 0xab 4k 64k", "write -z -u 8k 4k", "read -P 0 8k 4k", "read -P 0xab 4k 4k", "discard 16M 1M", "write -f -P 0x11 1000 3001",
            "read -P 0x11 1000 3001", "aio_write -P 0x22 1M 1M", "aio_write -P 0x33 3M 5M", "aio_flush", "read -P 0x22 1M 1M", "read -P 0x33 3M 5M",
            "write -z 0 32M", "read -P 0 0 32M", "flush",
        ];
        string output = await PeerProcess.RunOkAsync("qemu-io", ["-f", "raw", .. commands.SelectMany(c => new[] { "-c", c }), server.Uri]);
        Assert.DoesNotContain("failed", output, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("error", output, StringComparison.OrdinalIgnoreCase);
    }

    [RequiresTheory("fio")]
    [InlineData("--rw=randwrite", "--bsrange=512-128k", "--bs_unaligned")]
    [InlineData("--rw=randrw", "--bs=4k", "--randrepeat=1")]
    public async Task Fio_VerifiesAtDepth32_WithFourJobs(string pattern, string sizes, string more)
    {
        await using var server = RunningServer.Start(new MemoryBackend(64 << 20));
        await PeerProcess.RunOkAsync(
            "fio",
            [
                "--name=verify", "--ioengine=nbd", $"--uri={server.Uri}", pattern, sizes, more, "--iodepth=32", "--numjobs=4", "--size=16M",
                "--offset_increment=16M", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--thread=0",
            ],
            TimeSpan.FromSeconds(100));
    }

    [RequiresFact("nbdsh", "nbdkit")]
    public async Task Nbdsh_EveryCommandAndError_AsExpected_BesideNbdkit()
    {
        await using var server = RunningServer.Start(new MemoryBackend(1 << 20));
        string ours = await ProbeAsync(server.Uri);
        Assert.Equal(ReviewedAnswers, ours);

        // nbdkit differs in what the protocol leaves open: it refuses an empty read, and serves any name of export.
        string socket = server.Directory["nbdkit.sock"];
        await using var nbdkit = PeerProcess.Start("nbdkit", ["-f", "-U", socket, "memory", "1M"]);
        await nbdkit.WaitUntilAsync(_ => File.Exists(socket));
        string theirs = await ProbeAsync($"nbd+unix:///?socket={socket}");
        string[] differences = [.. ours.Split('\n').Zip(theirs.Split('\n')).Where(p => p.First != p.Second).Select(p => $"{p.First} | {p.Second}")];
        Assert.Equal(["read empty: ok | read empty: EINVAL", "info of a missing export: refused | info of a missing export: ok"], differences);
    }

    private const string ReviewedAnswers =
        """
        read past the end: EINVAL
        read empty: ok
        write past the end: ENOSPC
        trim past the end: EINVAL
        zero past the end: ENOSPC
        flush with an unknown flag: EINVAL
        write with an unknown flag: EINVAL
        write with fua: ok
        zero without hole: ok
        zero fast: ok
        write of one byte: ok
        cache: ok
        trim: ok
        flush: ok
        read unfragmented: ok
        block status: ok
        block status of one: ok
        info of a missing export: refused
        """;

    private static async Task<string> ProbeAsync(string uri)
    {
        const string Script = """
            import nbd, sys
            h = nbd.NBD()
            h.add_meta_context("base:allocation")
            uri = sys.argv[1]
            h.connect_uri(uri)
            h.set_strict_mode(0)
            size = h.get_size()
            def probe(name, call):
                try:
                    call()
                    print(name + ": ok")
                except nbd.Error as error:
                    print(name + ": " + (error.errno or "refused"))
            probe("read past the end", lambda: h.pread(4096, size - 1024))
            probe("read empty", lambda: h.pread(0, 0))
            probe("write past the end", lambda: h.pwrite(bytes(4096), size))
            probe("trim past the end", lambda: h.trim(4096, size))
            probe("zero past the end", lambda: h.zero(4096, size))
            probe("flush with an unknown flag", lambda: h.flush(1 << 9))
            probe("write with an unknown flag", lambda: h.pwrite(bytes(512), 0, 1 << 9))
            probe("write with fua", lambda: h.pwrite(b"x" * 512, 0, nbd.CMD_FLAG_FUA))
            probe("zero without hole", lambda: h.zero(65536, 0, nbd.CMD_FLAG_NO_HOLE))
            probe("zero fast", lambda: h.zero(65536, 0, nbd.CMD_FLAG_FAST_ZERO))
            probe("write of one byte", lambda: h.pwrite(b"y", 4095))
            probe("cache", lambda: h.cache(512, 0))
            probe("trim", lambda: h.trim(4096, 0))
            probe("flush", lambda: h.flush())
            probe("read unfragmented", lambda: h.pread_structured(65536, 0, lambda *a: 0, nbd.CMD_FLAG_DF))
            probe("block status", lambda: h.block_status(size, 0, lambda *a: 0))
            probe("block status of one", lambda: h.block_status(size, 0, lambda *a: 0, nbd.CMD_FLAG_REQ_ONE))
            h.shutdown()
            o = nbd.NBD()
            o.set_opt_mode(True)
            o.connect_uri(uri)
            o.set_export_name("does-not-exist")
            try:
                o.opt_info()
                print("info of a missing export: ok")
            except nbd.Error:
                print("info of a missing export: refused")
            o.opt_abort()
            """;

        // The system's Python has libnbd's module, whatever other one stands first in the path.
        return (await PeerProcess.RunOkAsync("/usr/bin/python3", ["-c", Script, uri])).TrimEnd('\n');
    }
}
