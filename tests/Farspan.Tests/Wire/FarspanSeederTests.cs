using System.Security.Cryptography;
using Farspan.Backends;
using Farspan.Migration;
using Farspan.TestKit.Contracts;
using Farspan.Wire;
using Farspan.Wire.Client;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>A seeder over our wire does what it does in process.</summary>
public sealed class FarspanSeederTests
{
    private const int TimeLimit = 120_000;
    private const int Chunk = 4096;

    private static readonly Guid Token = new(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    private static readonly Guid OtherToken = new(2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

    [Theory(Timeout = TimeLimit)]
    [InlineData(RegionLine.Unix, false)]
    [InlineData(RegionLine.Unix, true)]
    [InlineData(RegionLine.Tcp, false)]
    [InlineData(RegionLine.Tcp, true)]
    [InlineData(RegionLine.Tls, false)]
    public async Task ARegionMoves_WithEveryCall(RegionLine line, bool compresses)
    {
        await using var host = await RegionHost.StartAsync(line);
        byte[] truth = Bytes((1 << 20) + 100);
        await host.Seeder.Backend.WriteAsync(0, truth);
        await using var far = await host.ConnectAsync(new FarspanSeederOptions { Compresses = compresses });
        Assert.Equal(host.Seeder.Description, far.Description);
        var session = await TrackAsync(far);
        byte[] copy = new byte[truth.Length];
        copy.AsSpan().Fill(0xAA);
        Assert.True(await far.ReadAsync(session, 0, copy));
        Assert.Equal(truth, copy);
        Assert.True(await far.ReadAsync(session, 5, copy.AsMemory(5, 3)));
        Assert.True(await far.ReadAsync(session, truth.Length, default));
        Assert.Equal(truth, copy);

        int chunks = (truth.Length + Chunk - 1) / Chunk;
        byte[] digests = new byte[chunks * SHA256.HashSizeInBytes];
        Assert.True(await far.DigestAsync(session, 0, digests));
        for (int i = 0; i < chunks; i++)
        {
            byte[] expected = SHA256.HashData(truth.AsSpan(i * Chunk, Math.Min(Chunk, truth.Length - (i * Chunk))));
            Assert.Equal(expected, digests[(i * SHA256.HashSizeInBytes)..][..SHA256.HashSizeInBytes]);
        }

        await host.Seeder.Backend.WriteAsync(Chunk, new byte[Chunk]);
        var round = session with { Call = SeederCall.Round, Round = 1 };
        Assert.Equal(await host.Seeder.AskAsync(round), await far.AskAsync(round));
        Assert.Equal([new ChangedRun(1, 1)], (await far.ListAsync(round, 0, 10))!.Runs);
        await host.Seeder.Backend.WriteAsync(truth.Length - 1, new byte[] { 9 });

        var finalize = session with { Call = SeederCall.Finalize, Round = 1, Generation = 7 };
        var yours = await far.AskAsync(finalize);
        Assert.Equal((SeederAnswer.Yours, 2L, true, 1), (yours.Answer, yours.Epoch, yours.IsExact, yours.Round));
        Assert.Equal([new ChangedRun(chunks - 1, 1)], (await far.ListAsync(finalize, 0, 10))!.Runs);
        Assert.Equal([new ChangedRun(1, 1), new ChangedRun(chunks - 1, 1)], (await far.ListAsync(finalize with { Round = 0 }, 0, 10))!.Runs);
        Assert.True(await far.ReadAsync(finalize, truth.Length - 1, copy.AsMemory(0, 1)));
        Assert.Equal(9, copy[0]);
        Assert.False(host.Program.IsRunning);
        Assert.Equal(SeederAnswer.Released, (await far.AskAsync(finalize with { Call = SeederCall.Close })).Answer);
        Assert.False(await far.ReadAsync(finalize, 0, copy));
        Assert.False(await far.ReadAsync(finalize, 0, default));
        Assert.False(await far.DigestAsync(finalize, 0, digests));
        Assert.Null(await far.ListAsync(session with { Call = SeederCall.Round, Round = 2 }, 0, 10));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OtherLeechers_AreRefused_AsInProcess()
    {
        await using var host = await RegionHost.StartAsync();
        await using var far = await host.ConnectAsync();
        await using var other = await host.ConnectAsync();
        var session = await TrackAsync(far);
        Assert.Equal(SeederAnswer.Busy, (await other.AskAsync(new SeederRequest(SeederCall.Track, OtherToken))).Answer);
        Assert.Equal(SeederAnswer.Refused, (await other.AskAsync(session with { Call = SeederCall.Finalize, Token = OtherToken })).Answer);
        Assert.False(await other.ReadAsync(session with { Token = OtherToken }, 0, new byte[1]));
        Assert.False(await other.ReadAsync(session with { Session = session.Session + 1 }, 0, new byte[1]));
        Assert.Equal(SeederAnswer.GivenUp, (await far.AskAsync(session with { Call = SeederCall.GiveUp })).Answer);
        Assert.Equal(SeederAnswer.Tracking, (await other.AskAsync(new SeederRequest(SeederCall.Track, OtherToken))).Answer);
        var invalid = await Assert.ThrowsAsync<BackendException>(async () => await far.AskAsync(new SeederRequest(SeederCall.Track, Guid.Empty)));
        Assert.Equal(BackendError.Invalid, invalid.Error);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await far.ReadAsync(session, far.Description.Length, new byte[1]));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await far.DigestAsync(session, 257, new byte[32]));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task TheFirstPage_ComesWithTheHandOver()
    {
        await using var host = await RegionHost.StartAsync();
        await using var far = await host.ConnectAsync();
        var session = await TrackAsync(far);
        for (int i = 0; i < 250; i += 2)
            await host.Seeder.Backend.WriteAsync(i * Chunk, new byte[1]);
        var finalize = session with { Call = SeederCall.Finalize };
        Assert.True((await far.AskAsync(finalize)).IsExact);
        Assert.Equal((1, 2), (host.Held.Lists, host.Held.Calls - host.Held.Lists));
        await host.StopAsync();
        Assert.Equal(Enumerable.Range(0, 125).Select(static i => new ChangedRun(2 * i, 1)), await ListAllAsync(far, finalize, 1000));
        Assert.Equal(Enumerable.Range(0, 125).Select(static i => new ChangedRun(2 * i, 1)), await ListAllAsync(far, finalize with { Generation = 9 }, 7));
        Assert.Equal(1, host.Held.Lists);
        host.Start();
        Assert.NotNull(await far.ListAsync(finalize, 250, 1));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LongLists_ComeInPages()
    {
        const int Count = 10_000;
        await using var host = await RegionHost.StartAsync(length: 2 * Count * 512, chunkSize: 512);
        await using var far = await host.ConnectAsync();
        var session = await TrackAsync(far);
        for (int i = 0; i < Count; i++)
            await host.Seeder.Backend.WriteAsync(i * 1024, new byte[1]);
        var round = session with { Call = SeederCall.Round, Round = 1 };
        await far.AskAsync(round);
        Assert.Equal(Enumerable.Range(0, Count).Select(static i => new ChangedRun(2 * i, 1)), await ListAllAsync(far, round, 3000));
        Assert.Equal(Enumerable.Range(0, Count).Select(static i => new ChangedRun(2 * i, 1)), await ListAllAsync(far, round, int.MaxValue));
        Assert.InRange(host.Held.Lists, 3, 10);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WhatIsZero_OrShrinks_CostsNoLine()
    {
        const int Length = 8 << 20;
        await using var host = await RegionHost.StartAsync(length: Length);
        byte[] text = new byte[Length / 2];
        for (int i = 0; i < text.Length; i++)
            text[i] = (byte)("the same again and again. "[i % 26]);
        await host.Seeder.Backend.WriteAsync(Length / 2, text);
        var counter = new CountingConnector(host.Options.Endpoint);
        foreach (bool compresses in (bool[])[false, true])
        {
            await using var far = await FarspanSeeder.ConnectAsync(host.Options with { Connector = counter.Connect }, new FarspanSeederOptions { Compresses = compresses });
            var session = await TrackAsync(far);
            long before = counter.Received;
            byte[] bytes = new byte[Length];
            Assert.True(await far.ReadAsync(session, 0, bytes));
            Assert.True(bytes.AsSpan(Length / 2).SequenceEqual(text));
            Assert.False(bytes.AsSpan(0, Length / 2).ContainsAnyExcept((byte)0));
            Assert.InRange(counter.Received - before, compresses ? 100 : text.Length, compresses ? 200_000 : text.Length + 10_000);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task AnExportThatIsMoved_IsNoBackend_AndABackendIsNoRegion()
    {
        await using var host = await RegionHost.StartAsync(RegionLine.Tcp);
        var uri = BackendUri.Parse($"farspan://{host.Options.Endpoint}/");
        var error = await Assert.ThrowsAsync<BackendException>(async () => await FarspanBackends.OpenAsync(uri, new BackendOpenOptions(), CancellationToken.None));
        Assert.Equal(BackendError.NotSupported, error.Error);
        Assert.Contains("farspan leech", error.Message, StringComparison.Ordinal);
        await using (var far = await FarspanSeeder.OpenAsync(uri, new BackendOpenOptions()))
            await TrackAsync(far);

        await using var plain = new WireHost(new MemoryBackend(1 << 20));
        error = await Assert.ThrowsAsync<BackendException>(async () => await FarspanSeeder.ConnectAsync(plain.Options));
        Assert.Equal(BackendError.NotSupported, error.Error);
        Assert.Contains("farspan seed", error.Message, StringComparison.Ordinal);
        await using var tiny = await Seeder.OpenAsync(
            new Farspan.TestKit.Simulation.SimulatedDisk(1, TimeProvider.System) { IsSlow = false }.Open(), new MemoryBackend(4096), host.Program, new SeederOptions { ChunkSize = 256 });
        Assert.Throws<ArgumentException>(() => new FarspanServer([FarspanExport.Of(tiny)]));
    }

    private static byte[] Bytes(int length)
    {
        byte[] bytes = BackendModel.Bytes(3, length);
        bytes.AsSpan(8192, 300_000).Clear();
        bytes.AsSpan(400_000, 300_000).Fill(5);
        return bytes;
    }

    private static async Task<SeederRequest> TrackAsync(FarspanSeeder seeder)
    {
        var reply = await seeder.AskAsync(new SeederRequest(SeederCall.Track, Token));
        Assert.Equal(SeederAnswer.Tracking, reply.Answer);
        return new SeederRequest(SeederCall.Read, Token, reply.Session);
    }

    private static async Task<List<ChangedRun>> ListAllAsync(FarspanSeeder seeder, SeederRequest request, int limit)
    {
        var runs = new List<ChangedRun>();
        for (long next = 0; next >= 0;)
        {
            var page = await seeder.ListAsync(request, next, limit);
            Assert.NotNull(page);
            Assert.True(page.Runs.Count <= limit);
            runs.AddRange(page.Runs);
            next = page.NextChunk;
        }

        return runs;
    }
}
