using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Stages;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>Random steps, one after the other and many at once, through our client and our server over stacks of stages, against a plain array.</summary>
public sealed class NbdStackPropertyTests
{
    private const int TimeLimit = 300_000;
    private const int Size = 2 << 20;

    public static TheoryData<string> Stacks => new("memory", "blocks", "blocks, any access", "checksums", "client of a server", "small requests", "one request at a time", "many connections");

    [Theory(Timeout = TimeLimit)]
    [MemberData(nameof(Stacks))]
    public async Task Steps_OneAfterTheOther_MatchTheModel(string stack)
    {
        await using var opened = await OpenAsync(stack);
        for (int seed = 1; seed <= LongRun.Rounds(3); seed++)
        {
            await opened.ClearAsync();
            await new BackendModelRunner(opened.Client, seed, opened.Alignment).RunAsync(250);
        }
    }

    [Theory(Timeout = TimeLimit)]
    [MemberData(nameof(Stacks))]
    public async Task Steps_OfManyWorkersAtOnce_MatchTheModel(string stack)
    {
        await using var opened = await OpenAsync(stack);
        for (int seed = 1; seed <= LongRun.Rounds(7); seed++)
        {
            await opened.ClearAsync();
            await new BackendModelRunner(opened.Client, seed, opened.Alignment).RunConcurrentAsync(workers: 12, stepsEach: 40);
        }
    }

    private static async Task<OpenStack> OpenAsync(string stack)
    {
        var memory = new MemoryBackend(Size);
        var open = new List<IAsyncDisposable>();
        LocalServer Serve(IBackend backend)
        {
            var server = new LocalServer(backend);
            open.Add(server);
            return server;
        }

        var sizes = new BlockSizes(4096, 4096, 1 << 20);
        var options = stack switch
        {
            "blocks" => Serve(new AlignmentGuardStage(memory, sizes)).Options,
            "blocks, any access" => Serve(new ArbitraryAccessStage(new AlignmentGuardStage(memory, sizes))).Options,
            "checksums" => Serve(await ChecksumStage.OpenAsync(memory, new ChecksumOptions { ChunkSize = 16 << 10 })).Options,
            "client of a server" => Serve(await NbdClientBackend.ConnectAsync(Serve(memory).Options)).Options,
            "small requests" => Serve(memory).Options with { MaximumRequestLength = 4 << 10 },
            "one request at a time" => Serve(memory).Options with { RequestsPerConnection = 1, MaximumConnections = 1 },
            "many connections" => Serve(memory).Options with { RequestsPerConnection = 2, MaximumConnections = 16 },
            _ => Serve(memory).Options,
        };
        var client = await NbdClientBackend.ConnectAsync(options);
        open.Add(client);
        return new OpenStack(client, stack == "blocks" ? 4096 : 1, open);
    }

    private sealed record OpenStack(NbdClientBackend Client, int Alignment, List<IAsyncDisposable> Open) : IAsyncDisposable
    {
        public ValueTask ClearAsync() => Client.GetCapability<IZero>()!.ZeroAsync(0, Size);

        public async ValueTask DisposeAsync()
        {
            foreach (var one in Enumerable.Reverse(Open))
                await one.DisposeAsync();
        }
    }
}
