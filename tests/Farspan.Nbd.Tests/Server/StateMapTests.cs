using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Farspan.TestKit.Simulation;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>The maps of a backend as metadata contexts, beside allocation and beside each other.</summary>
public sealed class StateMapTests
{
    private const string Allocation = "base:allocation";
    private const string Local = "x-farspan:local";
    private const string Dirty = "x-farspan:dirty";
    private const int Size = 1 << 20;

    public static TheoryData<HeaderForm, bool> Forms { get; } = new()
    {
        { HeaderForm.Structured, false }, { HeaderForm.Structured, true }, { HeaderForm.Extended, false }, { HeaderForm.Extended, true },
    };

    [Theory(Timeout = 120_000)]
    [InlineData(new string[0], new[] { Allocation, Local, Dirty })]
    [InlineData(new[] { "x-farspan:" }, new[] { Local, Dirty })]
    [InlineData(new[] { "base:" }, new[] { Allocation })]
    [InlineData(new[] { "x-farspan:", "base:" }, new[] { Allocation, Local, Dirty })]
    [InlineData(new[] { Dirty, Dirty }, new[] { Dirty })]
    [InlineData(new[] { "x-farspan", "x-farspan:d", ":", "", "x-farspan:local:" }, new string[0])]
    public async Task Listing_NamesWhatTheQueriesAskFor(string[] queries, string[] expected)
    {
        await using var harness = new ServerHarness(Mapped());
        var client = harness.Connect();
        client.Greet();
        client.Option(NbdOption.StructuredReply);
        Assert.Equal(expected, Contexts(client, NbdOption.ListMetaContext, queries).Select(context => context.Name));
    }

    [Theory(Timeout = 120_000)]
    [InlineData(new[] { Dirty, Allocation }, new[] { Allocation, Dirty })]
    [InlineData(new[] { "x-farspan:" }, new string[0])]
    [InlineData(new[] { "x-farspan:nothing", Local }, new[] { Local })]
    public async Task Selecting_TakesNamesOnly_AndGivesEachAnIdOfItsOwn(string[] queries, string[] expected)
    {
        await using var harness = new ServerHarness(Mapped());
        var client = harness.Connect();
        client.Greet();
        client.Option(NbdOption.StructuredReply);
        var contexts = Contexts(client, NbdOption.SetMetaContext, queries);
        Assert.Equal(expected, contexts.Select(context => context.Name));
        Assert.Equal(contexts.Count, contexts.Select(context => context.Id).Where(id => id != 0).Distinct().Count());
    }

    [Fact(Timeout = 120_000)]
    public async Task BackendWithoutMaps_HasAllocationOnly()
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect();
        client.Greet();
        client.Option(NbdOption.StructuredReply);
        Assert.Equal([Allocation], Contexts(client, NbdOption.ListMetaContext).Select(context => context.Name));
        Assert.Empty(Contexts(client, NbdOption.SetMetaContext, Local));
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task SeveralContexts_AreToldInOneReply(HeaderForm form, bool answersLater)
    {
        await using var harness = new ServerHarness(Mapped(answersLater));
        var client = harness.Connect();
        client.Go(form, "", [Local, Dirty, Allocation], out uint[] ids);
        var reply = client.Request(NbdCommand.BlockStatus, 1000, Size - 1000);
        Assert.Equal(NbdErrno.Ok, reply.Error);
        var told = reply.Contexts.ToDictionary(context => context.Context, context => context.Runs);
        Assert.Equal(3, told.Count);
        Assert.Equal([(Size / 2 - 1000UL, 0UL), (Size / 2, 1UL)], told[ids[0]]);
        Assert.Equal([(Size / 4 - 1000UL, 0UL), (Size / 4, 1UL), (Size / 4, 0UL), (Size / 4, 1UL)], told[ids[1]]);
        Assert.Equal([(Size - 1000UL, 3UL)], told[ids[2]]);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task RequestForOne_GetsOneRunOfEach(HeaderForm form, bool answersLater)
    {
        await using var harness = new ServerHarness(Mapped(answersLater));
        var client = harness.Connect();
        client.Go(form, "", [Local, Dirty], out uint[] ids);
        var reply = client.Request(NbdCommand.BlockStatus, 0, Size, default, NbdCommandFlags.ReqOne);
        Assert.Equal([ids[0], ids[1]], reply.Contexts.Select(context => context.Context));
        Assert.Equal([(Size / 2UL, 0UL)], reply.Contexts[0].Runs);
        Assert.Equal([(Size / 4UL, 0UL)], reply.Contexts[1].Runs);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(new[] { 1 }, NbdErrno.Ok)]
    [InlineData(new[] { 1, 0 }, NbdErrno.Ok)]
    [InlineData(new[] { 1, 1 }, NbdErrno.Inval)]
    [InlineData(new[] { 1, 7 }, NbdErrno.Inval)]
    public async Task Payload_PicksAmongTheSelected(int[] picks, object expected)
    {
        await using var harness = new ServerHarness(Mapped());
        var client = harness.Connect();
        client.Go(HeaderForm.Extended, "", [Local, Dirty], out uint[] ids);
        string hex = $"{Size:x16}" + string.Concat(picks.Select(pick => $"{(pick < 2 ? ids[pick] : 1):x8}"));
        byte[] payload = Convert.FromHexString(hex);
        var reply = client.Request(NbdCommand.BlockStatus, 0, (ulong)payload.Length, payload, NbdCommandFlags.PayloadLength);
        Assert.Equal((NbdErrno)expected, reply.Error);
        if (reply.Error == NbdErrno.Ok)
            Assert.Equal(picks.Select(pick => ids[pick]).Order(), reply.Contexts.Select(context => context.Context));
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task ManyRuns_AreCutSoThatAllContextsTogetherAreNoMoreThanOne(HeaderForm form, bool answersLater)
    {
        var stripes = MappedBackend.Stripes(16);
        await using var backend = new MappedBackend(new MemoryBackend(Size), ("local", stripes), ("dirty", stripes)) { AnswersLater = answersLater };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go(form, "", [Local, Dirty], out _);
        var reply = client.Request(NbdCommand.BlockStatus, 0, Size);
        Assert.All(reply.Contexts, context => Assert.Equal(Replies.LargestExtentCount / 2, context.Runs.Count));
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task MapThatFailsOrLies_IsAnError_AndTheConnectionGoesOn(HeaderForm form, bool answersLater)
    {
        Func<long, long, IEnumerable<StateRun>>[] maps =
        [
            (_, _) => [], (_, _) => [new(1, 4, 0)], (_, _) => [new(0, 0, 0)], (_, _) => [new(0, Size + 1, 0)],
            (_, _) => [new(0, 4, 0), new(8, 4, 1)], (_, _) => throw new BackendException(BackendError.Corrupt, "it broke"),
        ];
        foreach (var map in maps)
        {
            foreach (bool isLast in new[] { false, true })
            {
                (string, Func<long, long, IEnumerable<StateRun>>) good = ("good", MappedBackend.Stripes(4096));
                await using var backend = isLast
                    ? new MappedBackend(new MemoryBackend(Size), good, ("bad", map)) { AnswersLater = answersLater }
                    : new MappedBackend(new MemoryBackend(Size), ("bad", map), good) { AnswersLater = answersLater };
                await using var harness = new ServerHarness(backend);
                var client = harness.Connect();
                client.Go(form, "", ["x-farspan:good", "x-farspan:bad"], out _);
                Assert.Equal(NbdErrno.Io, client.Request(NbdCommand.BlockStatus, 0, Size).Error);
                Assert.Equal(NbdErrno.Ok, client.Read(0, 512, out _));
            }
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("Upper")]
    [InlineData("a:b")]
    [InlineData("ä")]
    public async Task MapName_ThatIsNone_IsRefused(string name)
    {
        await using var backend = new MappedBackend(new MemoryBackend(Size), (name, MappedBackend.Stripes(1)));
        Assert.Throws<ArgumentException>(() => new ServedExport(new NbdExport { Backend = backend }, 1 << 20));
    }

    [Fact(Timeout = 120_000)]
    public async Task Reply_Compact_HasItsBytes()
    {
        await using var harness = new ServerHarness(Mapped());
        var client = harness.Connect();
        client.Go(HeaderForm.Structured, "", [Allocation, Local], out _);
        client.Send(client.RequestBytes(NbdCommand.BlockStatus, 0, Size, cookie: 0xABCD));
        AssertBytes(client, "668e33ef 0000 0005 000000000000abcd 0000000c 00000001 00100000 00000003");
        AssertBytes(client, "668e33ef 0001 0005 000000000000abcd 00000014 00000002 00080000 00000000 00080000 00000001");
    }

    [Fact(Timeout = 120_000)]
    public async Task Reply_Extended_HasItsBytes()
    {
        await using var harness = new ServerHarness(Mapped());
        var client = harness.Connect();
        client.Go(HeaderForm.Extended, "", [Allocation, Local], out _);
        client.Send(client.RequestBytes(NbdCommand.BlockStatus, 0, Size, cookie: 0xABCD));
        AssertBytes(
            client,
            "6e8a278c 0000 0006 000000000000abcd 0000000000000000 0000000000000018 00000001 00000001 0000000000100000 0000000000000003");
        AssertBytes(
            client,
            "6e8a278c 0001 0006 000000000000abcd 0000000000000000 0000000000000028 00000002 00000002 "
            + "0000000000080000 0000000000000000 0000000000080000 0000000000000001");
    }

    private static MappedBackend Mapped(bool answersLater = false)
        => new(new MemoryBackend(Size), ("local", MappedBackend.Stripes(Size / 2)), ("dirty", MappedBackend.Stripes(Size / 4)))
        {
            AnswersLater = answersLater,
        };

    private static List<(uint Id, string Name)> Contexts(ScriptedClient client, NbdOption option, params string[] queries)
    {
        client.SendOption(option, ScriptedClient.ContextData("", queries));
        var found = new List<(uint, string)>();
        while (true)
        {
            var (type, data) = client.ReadOptionReply(option);
            if (type == NbdOptionReply.Ack)
                return found;
            Assert.Equal(NbdOptionReply.MetaContext, type);
            Assert.True(MetaContextReply.TryRead(data, out var context));
            found.Add((context.Id, Encoding.UTF8.GetString(context.Name)));
        }
    }

    private static void AssertBytes(ScriptedClient client, string hex)
    {
        byte[] expected = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
        Assert.Equal(expected, client.Receive(expected.Length));
    }
}
