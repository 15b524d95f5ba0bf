using Farspan.Backends;
using Farspan.Checksums;
using Farspan.TestKit;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>
/// Wrong bytes in either direction: cut at every byte, changed at random. FARSPAN_FUZZ_CASES says how many random cases, for long runs by hand:
/// FARSPAN_FUZZ_CASES=1000000 ./test --project Farspan.Tests --filter FullyQualifiedName~HostileBytes.
/// </summary>
public sealed class HostileBytesTests
{
    private const int TimeLimit = 3_600_000;

    private static int Cases(int usual)
        => int.TryParse(Environment.GetEnvironmentVariable("FARSPAN_FUZZ_CASES"), out int asked) ? Math.Max(usual, asked) : usual;

    [Fact(Timeout = TimeLimit)]
    public async Task Server_SurvivesAConversationCutAtEachByte()
    {
        await using var host = new ServerOfStreams();
        byte[] whole = Conversation();
        for (int end = 0; end <= whole.Length; end++)
            await host.FeedAsync(whole.AsMemory(0, end));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Server_SurvivesChangedConversations()
    {
        await using var host = new ServerOfStreams();
        byte[] whole = Conversation();
        var random = new Random(1);
        for (int i = Cases(3000); i > 0; i--)
            await host.FeedAsync(Changed(whole, random));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Server_RefusesLengthsBeforeItTakesMemory()
    {
        await using var host = new ServerOfStreams();
        byte[] frame = new byte[WireFrame.Size];
        new WireFrame(WireOperation.Write, 0, 1, int.MaxValue, 0, 0, int.MaxValue, 0).WriteRequest(frame);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        await host.FeedAsync((byte[])[.. Hello(), .. frame]);
        Assert.True(GC.GetTotalAllocatedBytes(precise: true) - before < 16 << 20);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Server_AnswersWhatItDoesNotKnow_AndGoesOn()
    {
        await using var host = new ServerOfStreams();
        byte[] unknown = new byte[WireFrame.Size];
        new WireFrame(WireOperation.HandOver, 0, 1, 0, 0, 0, 0, 0).WriteRequest(unknown);
        byte[] outside = new byte[WireFrame.Size];
        new WireFrame(WireOperation.Read, 0, 2, 0, 0, 1 << 20, 1, 0).WriteRequest(outside);
        byte[] ping = new byte[WireFrame.Size];
        new WireFrame(WireOperation.Ping, 0, 3, 0, 0, 0, 0, 0).WriteRequest(ping);
        byte[] answer = await host.FeedAsync((byte[])[.. Hello(), .. unknown, .. outside, .. ping, .. Goodbye()]);
        Assert.True(ServerHello.TryRead(answer, out var hello));
        var statuses = new List<WireStatus>();
        for (var rest = answer.AsSpan(ServerHello.Size + hello.TextLength); rest.Length > 0;)
        {
            Assert.True(WireFrame.TryReadReply(rest, out var reply));
            statuses.Add(reply.Status);
            rest = rest[(WireFrame.Size + reply.PayloadLength)..];
        }

        Assert.Equal([WireStatus.NotSupported, WireStatus.Invalid, WireStatus.Done], statuses);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task DamagedPayload_IsNotWritten()
    {
        await using var host = new ServerOfStreams();
        byte[] whole = [.. Hello(), .. Write(0, [1, 2, 3, 4]), .. Goodbye()];
        whole[ClientHello.Size + WireFrame.Size + 2] ^= 0x10;
        await host.FeedAsync(whole);
        byte[] bytes = new byte[4];
        await host.Backend.ReadAsync(0, bytes);
        Assert.Equal([0, 0, 0, 0], bytes);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Client_SurvivesChangedAnswers_AndNeverMakesUpBytes()
    {
        byte[] stored = new byte[4096];
        new Random(7).NextBytes(stored);
        byte[] whole = Answers(stored);
        var random = new Random(2);
        int read = 0;
        for (int i = Cases(1500); i > 0; i--)
        {
            byte[] answers = i % 50 == 0 ? whole : Changed(whole, random).ToArray();
            using var directory = new TemporaryDirectory();
            var options = new FarspanClientOptions
            {
                Endpoint = StreamEndpoint.Unix(directory["s"]), Connector = () => new CannedStream(answers), ReconnectTimeout = TimeSpan.Zero,
                ConnectTimeout = TimeSpan.FromSeconds(20), RequestTimeout = TimeSpan.FromSeconds(20),
            };
            try
            {
                await using var client = await FarspanClientBackend.ConnectAsync(options);
                byte[] buffer = new byte[4096];
                await client.ReadAsync(0, buffer);
                Assert.Equal(stored, buffer);
                read++;
            }
            catch (BackendException)
            {
                // As it should be.
            }
        }

        Assert.True(read > 0);
    }

    private static byte[] Hello()
    {
        byte[] bytes = new byte[ClientHello.Size];
        new ClientHello(1, 1, 0, Guid.NewGuid(), 0, 0, 0).Write(bytes);
        return bytes;
    }

    private static byte[] Goodbye()
    {
        byte[] bytes = new byte[WireFrame.Size];
        new WireFrame(WireOperation.Goodbye, 0, 0, 0, 0, 0, 0, 0).WriteRequest(bytes);
        return bytes;
    }

    private static byte[] Write(long offset, byte[] data)
    {
        byte[] bytes = new byte[WireFrame.Size + data.Length];
        new WireFrame(WireOperation.Write, 0, 9, data.Length, 0, offset, data.Length, Crc32C.Compute(data)).WriteRequest(bytes);
        data.CopyTo(bytes, WireFrame.Size);
        return bytes;
    }

    private static byte[] Conversation()
    {
        var all = new List<byte>(Hello());
        all.AddRange(Write(512, [.. Enumerable.Range(0, 100).Select(i => (byte)i)]));
        uint id = 0;
        foreach (var (operation, length) in (ReadOnlySpan<(WireOperation, long)>)[
            (WireOperation.Read, 700), (WireOperation.Flush, 0), (WireOperation.Trim, 4096), (WireOperation.Zero, 64), (WireOperation.Extents, 1 << 16),
            (WireOperation.LeaseRenew, 0), (WireOperation.LeaseRelease, 0), (WireOperation.Ping, 0), (WireOperation.Digest, 0)])
        {
            byte[] frame = new byte[WireFrame.Size];
            new WireFrame(operation, 0, id++, 0, operation == WireOperation.LeaseRenew ? 3 : 0, 0, length, 0).WriteRequest(frame);
            all.AddRange(frame);
        }

        byte[] payload = new LeaseRequest(Guid.NewGuid(), "me").ToBytes();
        byte[] acquire = new byte[WireFrame.Size];
        new WireFrame(WireOperation.LeaseAcquire, 0, id, payload.Length, 0, 0, 0, Crc32C.Compute(payload)).WriteRequest(acquire);
        return [.. all, .. acquire, .. payload, .. Goodbye()];
    }

    private static byte[] Answers(byte[] stored)
    {
        byte[] hello = new byte[ServerHello.Size];
        new ServerHello(1, WireStatus.Done, 0, Guid.NewGuid(), 1 << 20, 1, 4096, 1 << 20, 1 << 20, 64, 1, 30_000, 0, 0).Write(hello);
        byte[] reply = new byte[WireFrame.Size];

        // The first use of the client's first place.
        new WireFrame(WireOperation.Read, 0, 1 << 11, stored.Length, 0, 0, stored.Length, Crc32C.Compute(stored)).WriteReply(reply);
        return [.. hello, .. reply, .. stored];
    }

    /// <summary>A changed copy; half of them with checksums of frames put right again, so that what is behind those is met.</summary>
    private static Memory<byte> Changed(byte[] whole, Random random)
    {
        byte[] bytes = [.. whole];
        for (int changes = 1 + random.Next(3); changes > 0; changes--)
        {
            int at = random.Next(bytes.Length);
            if (random.Next(2) == 0)
                bytes[at] ^= (byte)(1 << random.Next(8));
            else
                random.NextBytes(bytes.AsSpan(at, Math.Min(random.Next(1, 9), bytes.Length - at)));
        }

        if (random.Next(2) == 0)
            Mend(bytes);
        return bytes.AsMemory(0, random.Next(4) == 0 ? random.Next(bytes.Length) : bytes.Length);
    }

    private static void Mend(byte[] bytes)
    {
        for (int at = 0; at + WireFrame.Size <= bytes.Length; at++)
        {
            if (bytes.AsSpan(at, 3).SequenceEqual("FSr"u8) || bytes.AsSpan(at, 3).SequenceEqual("FAR"u8))
                BitConverter.TryWriteBytes(bytes.AsSpan(at + 44), Crc32C.Compute(bytes.AsSpan(at, 44)));
            else if (bytes.AsSpan(at, 3).SequenceEqual("far"u8) && at + ServerHello.Size <= bytes.Length)
                BitConverter.TryWriteBytes(bytes.AsSpan(at + 76), Crc32C.Compute(bytes.AsSpan(at, 76)));
        }
    }

    /// <summary>A server whose clients are strings of bytes.</summary>
    private sealed class ServerOfStreams : IAsyncDisposable
    {
        private readonly FarspanServer _server;

        public ServerOfStreams() => _server = new FarspanServer([new FarspanExport { Backend = Backend }]);

        public MemoryBackend Backend { get; } = new(1 << 20);

        /// <summary>What the server answers to the bytes, after which nothing more comes.</summary>
        public async Task<byte[]> FeedAsync(ReadOnlyMemory<byte> bytes)
        {
            using var stream = new CannedStream(bytes.ToArray()) { EndsAtOnce = true };
            await _server.HandleAsync(stream).WaitAsync(TimeSpan.FromSeconds(30));
            return stream.Written;
        }

        public async ValueTask DisposeAsync()
        {
            Assert.Equal(0, _server.ConnectionCount);
            Assert.Equal(0, _server.BytesInFlight);
            Assert.Equal(0, _server.OutstandingBuffers);
            await _server.DisposeAsync();
            await Backend.DisposeAsync();
        }
    }
}
