using Farspan.Backends;
using Farspan.Cli.Migration;
using Farspan.Linux.Migration;
using Farspan.Migration;
using Xunit;

namespace Farspan.Cli.Tests.Migration;

public sealed class WatchedSeederTests
{
    private const int TimeLimit = 120_000;
    private const int Chunk = 4096;

    [Fact(Timeout = TimeLimit)]
    public async Task WhatIsMissing_ShrinksWithReads_AndGrowsWithLists()
    {
        var answers = new List<(SeederCall Call, SeederAnswer Answer)>();
        await using var files = new MemoryFiles();
        var host = new ProgramHost(new CallbackHook(), () => new HookSubject("", Guid.Empty, 0));
        await using var seeder = await Seeder.OpenAsync(files, new MemoryBackend((4 * Chunk) + 100), host, new SeederOptions { ChunkSize = Chunk });
        var watched = new WatchedSeeder(seeder, (request, reply) => answers.Add((request.Call, reply.Answer)));
        Assert.Equal((4 * Chunk) + 100, watched.MissingBytes);

        var token = Guid.NewGuid();
        var tracking = await watched.AskAsync(new SeederRequest(SeederCall.Track, token));
        var request = new SeederRequest(SeederCall.Read, token, tracking.Session);
        Assert.True(await watched.ReadAsync(request, Chunk, new byte[2 * Chunk]));
        Assert.Equal(3 * Chunk, watched.MissingBytes);
        Assert.True(await watched.ReadAsync(request, 100, new byte[Chunk]));
        Assert.Equal(3 * Chunk, watched.MissingBytes);
        Assert.True(await watched.ReadAsync(request, 4 * Chunk, new byte[100]));
        Assert.True(await watched.ReadAsync(request, 0, new byte[4 * Chunk]));
        Assert.Equal(0, watched.MissingBytes);

        await seeder.Backend.WriteAsync(Chunk, new byte[1]);
        var finalize = request with { Call = SeederCall.Finalize };
        Assert.Equal(SeederAnswer.Yours, (await watched.AskAsync(finalize)).Answer);
        Assert.Single((await watched.ListAsync(finalize, 0, 10))!.Runs);
        Assert.Equal(Chunk, watched.MissingBytes);
        Assert.Equal([(SeederCall.Track, SeederAnswer.Tracking), (SeederCall.Finalize, SeederAnswer.Yours)], answers);
        Assert.Equal((7 * Chunk) + 100, watched.SentBytes);
    }
}
