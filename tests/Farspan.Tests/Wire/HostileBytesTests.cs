using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Stages;
using Farspan.TestKit;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>Wrong bytes in either direction, through all of a server and of a client; <see cref="WireFuzzTests"/> has the parsers alone.</summary>
public sealed class HostileBytesTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task Server_RefusesLengthsBeforeItTakesMemory()
    {
        await using var backend = new MemoryBackend(1 << 20);
        await using var host = new InlineConnection(backend);
        byte[] frame = new byte[WireFrame.Size];
        new WireFrame(WireOperation.Write, 0, 1, int.MaxValue, 0, 0, int.MaxValue, 0).WriteRequest(frame);
        byte[] conversation = [.. WireMessages.Hello(), .. frame];

        // On this thread: what other tests allocate meanwhile does not count.
        long before = GC.GetAllocatedBytesForCurrentThread();
        host.Run(conversation);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
        Assert.Equal(ServerHello.Size, host.Channel.SentBytes);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Server_AnswersWhatItDoesNotKnow_AndGoesOn()
    {
        await using var host = new ServerOfStreams();
        byte[] unknown = new byte[WireFrame.Size];
        new WireFrame((WireOperation)99, 0, 1, 0, 0, 0, 0, 0).WriteRequest(unknown);
        byte[] outside = new byte[WireFrame.Size];
        new WireFrame(WireOperation.Read, 0, 2, 0, 0, 1 << 20, 1, 0).WriteRequest(outside);
        byte[] ping = new byte[WireFrame.Size];
        new WireFrame(WireOperation.Ping, 0, 3, 0, 0, 0, 0, 0).WriteRequest(ping);
        byte[] answer = await host.FeedAsync((byte[])[.. WireMessages.Hello(), .. unknown, .. outside, .. ping, .. WireMessages.Goodbye()]);
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
    public async Task AsManyExtentsAsThereCanBe_AreOneReply()
    {
        await using var host = new WireHost(new ManyExtents());
        await using var client = await host.ConnectAsync();
        var extents = new List<Extent>();
        await client.ListExtentsAsync(0, client.Length, WireLimits.MaximumExtents, extents);
        Assert.Equal(WireLimits.MaximumExtents, extents.Count);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task DamagedPayload_IsNotWritten()
    {
        await using var host = new ServerOfStreams();
        byte[] whole = [.. WireMessages.Hello(), .. WireMessages.Write(0, [1, 2, 3, 4]), .. WireMessages.Goodbye()];
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
        var mutator = new WireMutator(whole, new Random(2));
        int read = 0;
        for (int i = 500; i > 0; i--)
        {
            byte[] answers = i % 50 == 0 ? whole : mutator.Next().ToArray();
            using var directory = new TemporaryDirectory();
            var options = new FarspanClientOptions
            {
                Endpoint = StreamEndpoint.Unix(directory["s"]), Connector = () => new CannedStream(answers), ReconnectTimeout = TimeSpan.Zero,
                ConnectTimeout = TimeSpan.FromSeconds(20), RequestTimeout = TimeSpan.FromSeconds(20),
            };
            try
            {
                await using var client = await FarspanClientBackend.ConnectAsync(options);
                if (client.Length < 4096)
                    continue;
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

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task BackendWithoutMemory_IsAnsweredSo_AndTheConnectionGoesOn(bool failsAtOnce)
    {
        var poor = new PoorBackend(failsAtOnce);
        await using var host = new WireHost(poor);
        var line = new BreakableConnector(host.Options.Endpoint);
        await using var client = await FarspanClientBackend.ConnectAsync(host.Options with { Connector = line.Connect, Connections = 1 });
        byte[] bytes = new byte[200_000];
        Func<ValueTask>[] calls =
        [
            () => client.ReadAsync(0, bytes), () => client.ReadAsync(0, bytes.AsMemory(0, 512)), () => client.WriteAsync(0, bytes),
            () => client.WriteAsync(0, bytes.AsMemory(0, 512)), () => client.FlushAsync(),
        ];
        foreach (var call in calls)
            Assert.Equal(BackendError.NoMemory, (await Assert.ThrowsAsync<BackendException>(async () => await call())).Error);
        poor.HasMemory = true;
        foreach (var call in calls)
            await call();
        Assert.Equal(1, line.Connections);
    }

    private static byte[] Answers(byte[] stored)
    {
        // The first use of the client's first place.
        return [.. WireMessages.Answer(hasChecksums: true), .. WireMessages.Reply(WireOperation.Read, 1 << 11, stored)];
    }

    /// <summary>Every other sector is a hole.</summary>
    private sealed class ManyExtents() : Stage(new MemoryBackend(8 << 20)), IExtentSource
    {
        public ValueTask ListExtentsAsync(long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
        {
            for (int i = 0; i < limit && (i * 512) < length; i++)
                extents.Add(new Extent(offset + (i * 512), 512, i % 2 == 0 ? ExtentKind.Data : ExtentKind.Hole));
            return default;
        }

        public override TCapability? GetCapability<TCapability>()
            where TCapability : class => typeof(TCapability) == typeof(IExtentSource) ? this as TCapability : null;
    }

    /// <summary>Nothing works for want of memory, at first.</summary>
    private sealed class PoorBackend(bool failsAtOnce) : Stage(new MemoryBackend(1 << 20))
    {
        public bool HasMemory { get; set; }

        public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
            => HasMemory ? base.ReadAsync(offset, buffer, cancellationToken) : Fail();

        public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
            => HasMemory ? base.WriteAsync(offset, buffer, cancellationToken) : Fail();

        public override ValueTask FlushAsync(CancellationToken cancellationToken = default) => HasMemory ? base.FlushAsync(cancellationToken) : Fail();

        public override TCapability? GetCapability<TCapability>()
            where TCapability : class => null;

        // As the runtime throws it: MA0012 keeps the type for it.
        private ValueTask Fail() => failsAtOnce ? ValueTask.FromException(new InsufficientMemoryException()) : FailLaterAsync();

        private static async ValueTask FailLaterAsync()
        {
            await Task.Yield();
            await Task.FromException(new InsufficientMemoryException());
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
