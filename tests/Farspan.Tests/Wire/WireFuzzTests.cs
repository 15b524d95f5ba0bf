using Farspan.Backends;
using Farspan.Wire.Protocol;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>
/// Wrong bytes for both parsers: changed at random, and cut at every byte. FARSPAN_FUZZ_CASES says how many random cases for each, for long runs
/// by hand: FARSPAN_FUZZ_CASES=1000000 ./test --project Farspan.Tests --filter FullyQualifiedName~WireFuzz.
/// </summary>
public sealed class WireFuzzTests
{
    private const int TimeLimit = 3_600_000;

    private static readonly int Cases = int.TryParse(Environment.GetEnvironmentVariable("FARSPAN_FUZZ_CASES"), out int asked) ? asked : 5000;

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public Task ChangedConversations_EndTheirConnection_AndNothingElse(bool hasChecksums) => Task.Run(async () =>
    {
        await using var backend = new MemoryBackend(1 << 20);
        await using var host = new InlineConnection(backend);
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
    public Task ChangedAnswers_FailRequests_AndNeverMakeUpBytes(bool hasChecksums) => Task.Run(() =>
    {
        var (shortBytes, longBytes) = Stored();
        var random = new Random(hasChecksums ? 3 : 4);
        var mutator = new WireMutator([.. InlineLane.Answers(shortBytes, longBytes).SelectMany(static bytes => bytes)], random);
        int right = 0;
        for (int i = 0; i < Cases; i++)
        {
            using var lane = new InlineLane(mutator.Next(), hasChecksums, random.Next(3) == 0 ? random.Next(40, 20_000) : int.MaxValue);
            lane.Run();
            if (!hasChecksums)
                continue;
            right += lane.Failures[0] is null ? 1 : 0;
            Assert.True(lane.Failures[0] is not null || lane.Short.AsSpan().SequenceEqual(shortBytes));
            Assert.True(lane.Failures[1] is not null || lane.Long.AsSpan().SequenceEqual(longBytes));
        }

        Assert.True(!hasChecksums || right > Cases / 10);
    });

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public Task AnswersCutAtEachByte_CompleteWhatCameWhole_AndFailTheRest(bool hasChecksums) => Task.Run(() =>
    {
        var (shortBytes, longBytes) = Stored();
        var answers = InlineLane.Answers(shortBytes, longBytes);
        byte[] whole = [.. answers.SelectMany(static bytes => bytes)];
        for (int end = 0; end <= whole.Length; end += end > 5000 && end < 70_000 ? 97 : 1)
        {
            using var lane = new InlineLane(whole.AsMemory(0, end), hasChecksums);
            lane.Run();
            int complete = 0;
            int position = 0;
            for (int i = 0; i < answers.Count; i++)
            {
                position += answers[i].Length;
                bool isWhole = position <= end;
                complete += isWhole ? 1 : 0;
                var failure = (BackendException?)lane.Failures[i];
                Assert.Equal(isWhole && i < 3, failure is null);
                Assert.Equal(isWhole && i == 3, failure?.Error == BackendError.NoSpace);
            }

            Assert.True(complete < 1 || lane.Short.AsSpan().SequenceEqual(shortBytes));
            Assert.True(complete < 2 || lane.Long.AsSpan().SequenceEqual(longBytes));
            Assert.Equal(complete < 3 ? 0 : 2, lane.Extents.Count);
        }
    });

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public Task ConversationCutAtEachByte_EndsItsConnection_AndNothingElse(bool hasChecksums) => Task.Run(async () =>
    {
        await using var backend = new MemoryBackend(1 << 20);
        await using var host = new InlineConnection(backend);
        host.Channel.IsSafe = !hasChecksums;
        byte[] whole = Conversation(hasChecksums);
        for (int end = 0; end <= whole.Length; end += end > 2000 && end < 60_000 ? 97 : 1)
            host.Run(whole.AsMemory(0, end));
    });

    private static (byte[] Short, byte[] Long) Stored()
    {
        byte[] bytes = new byte[74_096];
        new Random(7).NextBytes(bytes);
        return (bytes[..4096], bytes[4096..]);
    }

    private static byte[] Conversation(bool hasChecksums)
    {
        byte[] large = new byte[70_000];
        new Random(8).NextBytes(large);
        return
        [
            .. WireMessages.Hello(hasChecksums ? WireCapabilities.PayloadChecksums : 0),
            .. WireMessages.Write(512, [.. Enumerable.Range(0, 100).Select(static i => (byte)i)]),
            .. WireMessages.Request(WireOperation.Read, 0, 700, 1),
            .. WireMessages.Request(WireOperation.Flush, id: 2),
            .. WireMessages.Request(WireOperation.Trim, 0, 4096, 3),
            .. WireMessages.Request(WireOperation.Zero, 0, 64, 4),
            .. WireMessages.Request(WireOperation.Extents, 0, 1 << 16, 5),
            .. WireMessages.Write(65_536, large, 6),
            .. WireMessages.Request(WireOperation.Read, 65_536, 40_000, 7),
            .. WireMessages.Request(WireOperation.LeaseRenew, epoch: 3, id: 8),
            .. WireMessages.Request(WireOperation.LeaseRelease, id: 9),
            .. WireMessages.Request(WireOperation.Ping, id: 10),
            .. WireMessages.Request(WireOperation.MigrateTrack, id: 11),
            .. WireMessages.Acquire(Guid.NewGuid(), "me", 12),
            .. WireMessages.Goodbye(),
        ];
    }
}
