using System.Text.Json;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>Every client of another make against <c>farspan serve</c>, as a user starts it, over TCP and over a Unix socket.</summary>
public sealed class ServedToPeersTests
{
    private const int Size = 64 << 20;

    [RequiresTheory("nbdinfo", "nbdcopy", "cmp")]
    [InlineData("tcp", "memory:64MiB")]
    [InlineData("unix", "directory:chunks?size=64MiB&chunk=64KiB")]
    public async Task Libnbd_DescribesMapsAndCopiesBothWays(string transport, string backend)
    {
        await using var served = await ServedExport.StartAsync(transport, backend);
        using var json = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--json", served.Uri]));
        Assert.Equal("newstyle-fixed", json.RootElement.GetProperty("protocol").GetString());
        Assert.True(json.RootElement.GetProperty("structured").GetBoolean());
        Assert.Equal(Size, json.RootElement.GetProperty("exports")[0].GetProperty("export-size").GetInt64());
        foreach (string power in new[] { "flush", "fua", "trim", "zero", "fast-zero", "df", "cache", "multi-conn", "write", "structured-reply" })
            await PeerProcess.RunOkAsync("nbdinfo", ["--can", power, served.Uri]);
        Assert.Equal([(0, Size, "hole,zero")], await MapAsync(served.Uri));

        await RandomFile.WriteAsync(served["in"], Size, (3 << 20, 20 << 20), (40 << 20, 100_000));
        await PeerProcess.RunOkAsync("nbdcopy", ["--flush", served["in"], served.Uri]);
        await PeerProcess.RunOkAsync("nbdcopy", ["--connections=1", "--requests=1", served.Uri, served["slow"]]);
        await PeerProcess.RunOkAsync("nbdcopy", [served.Uri, served["out"]]);
        await PeerProcess.RunOkAsync("cmp", [served["in"], served["out"]]);
        await PeerProcess.RunOkAsync("cmp", [served["in"], served["slow"]]);
        var map = await MapAsync(served.Uri);
        Assert.Contains(map, e => e.Kind == "data");
        Assert.Contains(map, e => e.Kind == "hole,zero" && e.Offset + e.Length == Size);

        // Onto itself: each byte that is written was read from the same place.
        await PeerProcess.RunOkAsync("nbdcopy", [served.Uri, served.Uri]);
        await PeerProcess.RunOkAsync("nbdcopy", [served.Uri, served["again"]]);
        await PeerProcess.RunOkAsync("cmp", [served["in"], served["again"]]);
    }

    [RequiresTheory("qemu-img", "qemu-io")]
    [InlineData("tcp", "directory:chunks?size=64MiB&chunk=64KiB")]
    [InlineData("unix", "file:disk?size=64MiB")]
    public async Task Qemu_ConvertsComparesMapsAndFindsItsPatterns(string transport, string backend)
    {
        await using var served = await ServedExport.StartAsync(transport, backend);
        await RandomFile.WriteAsync(served["in"], Size, (1 << 20, 9 << 20));
        using var info = JsonDocument.Parse(await PeerProcess.RunOkAsync("qemu-img", ["info", "--output=json", "-f", "raw", served.Uri]));
        Assert.Equal(Size, info.RootElement.GetProperty("virtual-size").GetInt64());
        await PeerProcess.RunOkAsync("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", served["in"], served.Uri]);
        Assert.Contains("identical", await PeerProcess.RunOkAsync("qemu-img", ["compare", "-f", "raw", "-F", "raw", served["in"], served.Uri]));
        await PeerProcess.RunOkAsync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", served.Uri, served["out.qcow2"]]);
        Assert.Contains("identical", await PeerProcess.RunOkAsync("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", served["in"], served["out.qcow2"]]));
        using var map = JsonDocument.Parse(await PeerProcess.RunOkAsync("qemu-img", ["map", "--output=json", "-f", "raw", served.Uri]));
        bool[] zero = [.. map.RootElement.EnumerateArray().Select(e => e.GetProperty("zero").GetBoolean())];
        Assert.Contains(true, zero);
        Assert.Contains(false, zero);

        string[] commands =
        [
            "write -P 0xab 4k 64k", "write -z -u 8k 4k", "read -P 0 8k 4k", "read -P 0xab 4k 4k", "discard 16M 1M", "write -f -P 0x11 1000 3001",
            "read -P 0x11 1000 3001", "aio_write -P 0x22 1M 1M", "aio_write -P 0x33 3M 5M", "aio_flush", "read -P 0x22 1M 1M", "read -P 0x33 3M 5M",
            "write -P 0x44 0 40M", "read -P 0x44 0 40M", "write -z 1 39M", "read -P 0x44 0 1", "read -P 0 1 39M", "read -P 0x44 40894465 512", "flush",
        ];
        string output = await PeerProcess.RunOkAsync("qemu-io", ["-f", "raw", .. commands.SelectMany(c => new[] { "-c", c }), served.Uri]);
        Assert.DoesNotContain("failed", output, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("error", output, StringComparison.OrdinalIgnoreCase);
    }

    [RequiresTheory("fio")]
    [InlineData("tcp", "memory:64MiB", "--bs=4k")]
    [InlineData("unix", "directory:chunks?size=64MiB&chunk=64KiB", "--bsrange=512-128k", "--bs_unaligned")]
    public async Task Fio_VerifiesAtDepth32_WithFourJobs(string transport, string backend, params string[] sizes)
    {
        await using var served = await ServedExport.StartAsync(transport, backend);
        await PeerProcess.RunOkAsync(
            "fio",
            [
                "--name=verify", "--ioengine=nbd", $"--uri={served.Uri}", "--rw=randwrite", "--iodepth=32", "--numjobs=4", "--size=16M",
                "--offset_increment=16M", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", .. sizes,
            ],
            TimeSpan.FromSeconds(100));
    }

    /// <summary>Eight connections, sixteen requests each, write signed records of odd lengths that share every chunk.</summary>
    [RequiresTheory("nbdsh")]
    [InlineData("unix", "directory:chunks?size=64MiB&chunk=64KiB")]
    [InlineData("tcp", "file:disk?size=64MiB")]
    public async Task Hammer_OfUnalignedWritersOnSharedChunks_LosesNoRecord(string transport, string backend)
    {
        const string Script = """
            import nbd, sys, threading, random, struct
            uri, writers, record, rounds = sys.argv[1], 8, 777, 3
            count = 2_000_000 // record // writers * writers
            def signature(writer, index, round):
                return (struct.pack(">HIH", writer, index, round) * 100)[:record]
            failures = []
            def write(writer):
                try:
                    h = nbd.NBD()
                    h.connect_uri(uri)
                    order = list(range(writer, count, writers))
                    for round in range(rounds):
                        random.Random(writer * 10 + round).shuffle(order)
                        for index in order:
                            while h.aio_in_flight() >= 16:
                                h.poll(-1)
                            h.aio_pwrite(nbd.Buffer.from_bytearray(signature(writer, index, round)), index * record)
                            while h.aio_peek_command_completed() > 0:
                                h.aio_command_completed(h.aio_peek_command_completed())
                        while h.aio_in_flight() > 0:
                            h.poll(-1)
                    h.flush()
                    h.shutdown()
                except Exception as error:
                    failures.append(error)
            threads = [threading.Thread(target=write, args=(w,)) for w in range(writers)]
            [t.start() for t in threads]
            [t.join() for t in threads]
            if failures:
                raise failures[0]
            h = nbd.NBD()
            h.connect_uri(uri)
            data = h.pread(count * record, 0)
            bad = [i for i in range(count) if data[i * record:(i + 1) * record] != signature(i % writers, i, rounds - 1)]
            print(count, len(bad), bad[:5])
            """;
        await using var served = await ServedExport.StartAsync(transport, backend);
        string said = await PeerProcess.RunOkAsync("/usr/bin/python3", ["-c", Script, served.Uri], TimeSpan.FromSeconds(100));
        Assert.Equal("2568 0 []\n", said);
    }

    [RequiresTheory("nbdsh")]
    [InlineData("memory:5GiB")]
    [InlineData("file:disk?size=5GiB")]
    [InlineData("directory:chunks?size=5GiB&chunk=1MiB")]
    public async Task ZeroesOverMoreThan64MiB_AndUpTo4GiB_ReachEveryByteAndNoOther(string backend)
    {
        const string Script = """
            import nbd, sys
            h = nbd.NBD()
            h.connect_uri(sys.argv[1])
            MiB, GiB = 1 << 20, 1 << 30
            def check(offset, length, flags):
                inner = [offset, offset + 64 * MiB - 16, offset + 64 * MiB, offset + length // 2, offset + length - 16]
                outer = [offset - 16, offset + length]
                for at in inner + outer:
                    h.pwrite(b"0123456789abcdef", at)
                h.zero(length, offset, flags)
                wrong = [at - offset for at in inner if h.pread(16, at) != bytes(16)]
                wrong += [at - offset for at in outer if h.pread(16, at) != b"0123456789abcdef"]
                if wrong:
                    raise SystemExit(f"zero {length} at {offset} with {flags}: wrong at {wrong}")
            check(100, 64 * MiB + 4096, 0)
            check(4097, 64 * MiB + 33, nbd.CMD_FLAG_NO_HOLE)
            check(1 * MiB, 2 * GiB, 0)
            check(16, 4 * GiB - 512, nbd.CMD_FLAG_FUA)
            check(MiB + 3, 4 * GiB - 1, 0)
            h.flush()
            """;
        await using var served = await ServedExport.StartAsync("unix", backend);
        await PeerProcess.RunOkAsync("/usr/bin/python3", ["-c", Script, served.Uri], TimeSpan.FromSeconds(100));
    }

    private static async Task<(long Offset, long Length, string Kind)[]> MapAsync(string uri)
    {
        using var json = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--map", "--json", uri]));
        return [.. json.RootElement.EnumerateArray().Select(e => (e.GetProperty("offset").GetInt64(), e.GetProperty("length").GetInt64(), e.GetProperty("description").GetString()!))];
    }
}
