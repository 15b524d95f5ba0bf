using Farspan.Backends;
using Farspan.Migration;
using Farspan.TestKit;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>Wrong requests and replies about a region that is being moved; <see cref="WireFuzzMoveTests"/> has the parsers alone.</summary>
public sealed class HostileRegionTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task WrongRequests_AreAnsweredSo_AndTheConnectionGoesOn()
    {
        await using var host = new InlineConnection(FarspanExport.Of(new PatternSeeder()));
        var ask = PatternSeeder.Session;
        (byte[] Request, WireStatus Status)[] all =
        [
            (WireMessages.Request(WireOperation.Read, 0, 512), WireStatus.NotSupported),
            (WireMessages.Write(0, [1, 2, 3]), WireStatus.NotSupported),
            (WireMessages.Write(0, new byte[100_000]), WireStatus.NotSupported),
            (WireMessages.Request(WireOperation.Flush), WireStatus.NotSupported),
            (WireMessages.Request(WireOperation.Trim, 0, 512), WireStatus.NotSupported),
            (WireMessages.Request(WireOperation.Extents, 0, 512), WireStatus.NotSupported),
            (WireMessages.Acquire(Guid.NewGuid(), "me"), WireStatus.NotSupported),
            (WireMessages.Request((WireOperation)24), WireStatus.NotSupported),
            (WireMessages.Move(WireOperation.MigrateTrack, new byte[28]), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateTrack, new byte[27]), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateTrack, new byte[100_000]), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateFinalize, ask, flags: 1), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateFinalize, ask with { Session = -1 }), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateRead, ask, 0, long.MaxValue), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateRead, ask, PatternSeeder.Length, 1), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateRead, ask, long.MaxValue, 4096), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateRead, ask, 0, 4096, flags: 4), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateDigest, ask, 0, long.MaxValue), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateDigest, ask, 256, 1), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateList, ask, 0, 0, flags: 17), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateList, ask, 0, 1, flags: 16 + 256), WireStatus.Invalid),
            (WireMessages.Move(WireOperation.MigrateRead, ask with { Token = Guid.NewGuid() }, 0, 4096), WireStatus.Refused),
            (WireMessages.Move(WireOperation.MigrateRead, ask, 0, 4096), WireStatus.Done),
            (WireMessages.Request(WireOperation.Ping), WireStatus.Done),
        ];
        byte[] conversation = [.. WireMessages.Hello(), .. all.SelectMany(static one => one.Request), .. WireMessages.Goodbye()];
        long before = GC.GetAllocatedBytesForCurrentThread();
        host.Run(conversation);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);

        var rest = host.Channel.Output!.ToArray().AsSpan();
        Assert.True(ServerHello.TryRead(rest, out var hello));
        Assert.Equal(WireCapabilities.ReadOnly | WireCapabilities.Moving, hello.Capabilities);
        Assert.Equal((PatternSeeder.Length, PatternSeeder.ChunkSize), ((int)hello.Length, hello.PreferredBlock));
        rest = rest[(ServerHello.Size + hello.TextLength)..];
        foreach (var (_, status) in all)
        {
            Assert.True(WireFrame.TryReadReply(rest, out var reply));
            Assert.Equal(status, reply.Status);
            if (status == WireStatus.NotSupported)
                Assert.Contains("farspan leech", WireLimits.Decode(rest.Slice(WireFrame.Size, reply.PayloadLength)), StringComparison.Ordinal);
            rest = rest[(WireFrame.Size + reply.PayloadLength)..];
        }

        Assert.True(rest.IsEmpty);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ABackend_AnswersMoves_WithNotSupported()
    {
        await using var backend = new MemoryBackend(1 << 20);
        await using var host = new InlineConnection(backend);
        host.Run((byte[])[.. WireMessages.Hello(), .. WireMessages.Move(WireOperation.MigrateTrack, PatternSeeder.Session), .. WireMessages.Goodbye()]);
        var rest = host.Channel.Output!.ToArray().AsSpan(ServerHello.Size);
        Assert.True(WireFrame.TryReadReply(rest, out var reply));
        Assert.Equal(WireStatus.NotSupported, reply.Status);
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AStoreBehindARegion_IsToldInTheHello(bool isBacked)
    {
        await using var host = new InlineConnection(FarspanExport.Of(new PatternSeeder { IsBacked = isBacked }));
        host.Channel.IsSafe = false;
        host.Run(WireMessages.Hello(WireCapabilities.PayloadChecksums));

        // Something behind the hello keeps the connection open.
        byte[] hello = [.. host.Channel.Output!.ToArray(), 0];
        using var directory = new TemporaryDirectory();
        await using var far = await FarspanSeeder.ConnectAsync(new FarspanClientOptions
        {
            Endpoint = StreamEndpoint.Unix(directory["s"]), Connector = () => new CannedStream(hello), ReconnectTimeout = TimeSpan.Zero, Connections = 1,
        });
        Assert.Equal(new SeederDescription(PatternSeeder.Length, PatternSeeder.ChunkSize, isBacked), far.Description);
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task WrongReplies_EndInOneClearError(int kind)
    {
        byte[] bomb = [1, 2, 3, 4, .. BitConverter.GetBytes(4096), .. BitConverter.GetBytes(4), .. BitConverter.GetBytes(1)];
        (WireOperation Operation, byte[] Payload, Func<FarspanSeeder, Task> Call)[] all =
        [
            (WireOperation.MigrateRead, bomb, static far => far.ReadAsync(PatternSeeder.Session, 0, new byte[4096]).AsTask()),
            (WireOperation.MigrateFinalize, new byte[MoveReply.Size], static far => far.AskAsync(PatternSeeder.Session with { Call = SeederCall.Finalize }).AsTask()),
            (WireOperation.MigrateList, new byte[8 + 16], static far => far.ListAsync(PatternSeeder.Session with { Call = SeederCall.Round }, 0, 10).AsTask()),
            (WireOperation.MigrateDigest, new byte[31], static far => far.DigestAsync(PatternSeeder.Session, 0, new byte[32]).AsTask()),
        ];
        var (operation, payload, call) = all[kind];
        byte[] hello = new byte[ServerHello.Size];
        WireMessages.Region(hasChecksums: true).Write(hello);
        byte[] answers = [.. hello, .. WireMessages.Reply(operation, 1 << 11, payload)];
        using var directory = new TemporaryDirectory();
        await using var far = await FarspanSeeder.ConnectAsync(new FarspanClientOptions
        {
            Endpoint = StreamEndpoint.Unix(directory["s"]), Connector = () => new CannedStream(answers), ReconnectTimeout = TimeSpan.Zero,
        });
        var error = await Assert.ThrowsAsync<BackendException>(() => call(far));
        Assert.Equal(BackendError.Protocol, error.Error);
    }
}
