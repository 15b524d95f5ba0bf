using System.Collections.Concurrent;
using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>
/// Our client and our server over a line that breaks, or falls silent, at every byte that either of them sends in a conversation with every
/// command: what was asked for is done in the end, and the server holds what it must.
/// </summary>
public sealed class CutAtEveryByteTests
{
    private const int TimeLimit = 300_000;
    private const int Size = 256 << 10;

    private static readonly TimeSpan s_long = TimeSpan.FromMinutes(2);
    private static readonly byte[] First = BackendModel.Bytes(1, 100);
    private static readonly byte[] Second = BackendModel.Bytes(2, 700);

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task LineThatBreaks_CostsNothingOnceConnected(bool cutsAnswers)
    {
        long whole = await LengthAsync(cutsAnswers);
        var refused = new ConcurrentBag<long>();
        await ForEachAsync(whole, atOnce: 16, async cut =>
        {
            await using var memory = new MemoryBackend(Size);
            await using var server = new LocalServer(memory);
            await using var relay = new CutRelay(server.Options.Endpoint, cut, cutsAnswers, stalls: false);
            var options = server.Options with { Endpoint = relay.Endpoint, MaximumConnections = 1, ReconnectTimeout = s_long, RequestTimeout = s_long };
            NbdClientBackend client;
            try
            {
                client = await NbdClientBackend.ConnectAsync(options);
            }
            catch (BackendException error)
            {
                Assert.True(error.IsTransient, $"{cut}: {error}");
                refused.Add(cut);
                client = await NbdClientBackend.ConnectAsync(options);
            }

            await using (client)
                await ConverseAsync(client, step => step());
            await CheckAsync(memory);
        });

        // The first so many bytes are the negotiation, and all others transmission.
        Assert.Equal(Enumerable.Range(0, refused.Count).Select(i => (long)i), refused.Order());
        Assert.InRange(refused.Count, 50, (int)whole - 50);
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task LineThatFallsSilent_IsATimeOut_AndTheNextAttemptWorks(bool cutsAnswers)
    {
        // Each silence costs time-outs, so a usual run tries every third byte.
        int step = LongRun.IsAskedFor ? 1 : 3;
        long whole = await LengthAsync(cutsAnswers);
        await ForEachAsync(whole / step, atOnce: 32, async index =>
        {
            long cut = index * step;
            await using var memory = new MemoryBackend(Size);
            await using var server = new LocalServer(memory);
            await using var relay = new CutRelay(server.Options.Endpoint, cut, cutsAnswers, stalls: true);
            var patience = TimeSpan.FromMilliseconds(200);
            var options = server.Options with
            {
                Endpoint = relay.Endpoint, MaximumConnections = 1, ConnectTimeout = patience, RequestTimeout = patience,
                CloseTimeout = TimeSpan.FromMilliseconds(50),
            };
            NbdClientBackend? client = null;
            await AgainAsync(async () => client = await NbdClientBackend.ConnectAsync(options));
            await using (client!)
                await ConverseAsync(client!, AgainAsync);
            await CheckAsync(memory);
        });
    }

    /// <summary>Every command once, each by <paramref name="run"/>.</summary>
    private static async Task ConverseAsync(NbdClientBackend client, Func<Func<Task>, Task> run)
    {
        byte[] buffer = new byte[Second.Length];
        await run(() => client.WriteAsync(10, First).AsTask());
        await run(() => client.WriteAsync(5000, Second).AsTask());
        await run(() => client.ReadAsync(5000, buffer).AsTask());
        Assert.Equal(Second, buffer);
        await run(() => client.GetCapability<IZero>()!.ZeroAsync(5100, 50).AsTask());
        await run(() => client.GetCapability<ITrim>()!.TrimAsync(200_000, 4096).AsTask());
        await run(() => client.GetCapability<IExtentSource>()!.ListExtentsAsync(0, Size, 10, new List<Extent>()).AsTask());
        await run(() => client.FlushAsync().AsTask());
        await run(() => client.ReadAsync(10, buffer.AsMemory(0, First.Length)).AsTask());
        Assert.Equal(First, buffer[..First.Length]);
    }

    private static async Task AgainAsync(Func<Task> step)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                await step();
                return;
            }
            catch (BackendException error) when (error.IsTransient && attempt < 300)
            {
            }
        }
    }

    private static async Task CheckAsync(MemoryBackend memory)
    {
        byte[] expected = new byte[Size];
        First.CopyTo(expected, 10);
        Second.CopyTo(expected, 5000);
        expected.AsSpan(5100, 50).Clear();
        byte[] held = new byte[Size];
        await memory.ReadAsync(0, held);
        Assert.True(expected.AsSpan().SequenceEqual(held), "The server does not hold what it was told.");
    }

    /// <summary>How many bytes the conversation has in one direction when nothing happens.</summary>
    private static async Task<long> LengthAsync(bool cutsAnswers)
    {
        await using var server = new LocalServer(new MemoryBackend(Size));
        await using var relay = new CutRelay(server.Options.Endpoint, long.MaxValue, cutsAnswers, stalls: false);
        await using (var client = await NbdClientBackend.ConnectAsync(server.Options with { Endpoint = relay.Endpoint, MaximumConnections = 1 }))
            await ConverseAsync(client, step => step());
        Assert.InRange(relay.Carried, 300, 5000);
        return relay.Carried;
    }

    private static Task ForEachAsync(long count, int atOnce, Func<long, Task> body)
        => Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (i, _) => await body(i));
}
