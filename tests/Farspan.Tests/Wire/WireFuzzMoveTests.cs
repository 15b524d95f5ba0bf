using Farspan.Wire.Protocol;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>As <see cref="WireFuzzTests"/>, of a region that is being moved.</summary>
public sealed class WireFuzzMoveTests
{
    private const int TimeLimit = 3_600_000;

    private static readonly int Cases = int.TryParse(Environment.GetEnvironmentVariable("FARSPAN_FUZZ_CASES"), out int asked) ? asked : 5000;

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public Task ChangedConversations_EndTheirConnection_AndNothingElse(bool hasChecksums) => Task.Run(async () =>
    {
        await using var host = new InlineConnection(FarspanExport.Of(new PatternSeeder()));
        var random = new Random(hasChecksums ? 1 : 2);
        var mutator = new WireMutator(Conversation(hasChecksums), random);
        host.Channel.IsSafe = !hasChecksums;
        int answered = 0;
        for (int i = 0; i < Cases; i++)
        {
            host.Channel.LargestReceive = random.Next(3) == 0 ? random.Next(1, 200) : int.MaxValue;
            host.Run(mutator.Next());
            answered += host.Channel.SentBytes > ServerHello.Size ? 1 : 0;
        }

        Assert.InRange(answered, Cases / 10, Cases);
    });

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public Task ChangedAnswers_FailCalls_AndNeverMakeUpBytes(bool hasChecksums) => Task.Run(() =>
    {
        var random = new Random(hasChecksums ? 3 : 4);
        byte[] whole = [.. InlineMoves.Answers().SelectMany(static bytes => bytes)];
        var mutator = new WireMutator(whole, random);
        int right = 0;
        for (int i = 0; i < Cases; i++)
        {
            bool isWhole = i % 100 == 0;
            using var lane = new InlineMoves(isWhole ? whole : mutator.Next(), hasChecksums, random.Next(3) == 0 ? random.Next(40, 20_000) : int.MaxValue);
            lane.Run();
            right += lane.Succeeded;
            Assert.True(!isWhole || lane.Succeeded == 5);
            Assert.True(!hasChecksums || lane.IsTrue);
        }

        Assert.InRange(right, Cases / 10, 5 * Cases);
    });

    private static byte[] Conversation(bool hasChecksums)
    {
        var ask = PatternSeeder.Session;
        return
        [
            .. WireMessages.Hello(hasChecksums ? WireCapabilities.PayloadChecksums : 0),
            .. WireMessages.Move(WireOperation.MigrateTrack, ask, id: 1),
            .. WireMessages.Move(WireOperation.MigrateRound, ask, id: 2),
            .. WireMessages.Move(WireOperation.MigrateRead, ask, 4096, 70_000, 3, PackedBytes.ZeroFlag),
            .. WireMessages.Move(WireOperation.MigrateRead, ask, 0, 30_000, 4, PackedBytes.ZeroFlag | PackedBytes.CompressFlag),
            .. WireMessages.Move(WireOperation.MigrateRead, ask, 0, 700, 5),
            .. WireMessages.Move(WireOperation.MigrateDigest, ask, 3, 4, 6),
            .. WireMessages.Move(WireOperation.MigrateList, ask, 0, 4096, 7, (int)WireOperation.MigrateFinalize),
            .. WireMessages.Move(WireOperation.MigrateFinalize, ask, id: 8),
            .. WireMessages.Move(WireOperation.MigrateGiveUp, ask, id: 9),
            .. WireMessages.Move(WireOperation.MigrateClose, ask, id: 10),
            .. WireMessages.Request(WireOperation.Read, 0, 512, 11),
            .. WireMessages.Request(WireOperation.Ping, id: 12),
            .. WireMessages.Goodbye(),
        ];
    }
}
