using Farspan.Backends;
using Farspan.Migration;
using Farspan.Migration.Finalizing;
using Farspan.TestKit.Simulation;
using Farspan.Tests.Migration;
using Farspan.Wire.Client;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>A host that has a region, and some of it still to come, is not held up by a seeder that does not answer.</summary>
public sealed class KnownSeederTests
{
    private const int TimeLimit = 120_000;
    private const int Chunk = 4096;
    private const int Length = (1 << 20) + 100;

    private static readonly LeecherOptions s_options = new()
    {
        Policy = new ManualFinalize(), RetryDelay = TimeSpan.FromMilliseconds(20), OutageTimeout = TimeSpan.FromSeconds(100),
    };

    private readonly SimulatedDisk _disk = new(1, TimeProvider.System) { IsSlow = false };

    [Fact(Timeout = TimeLimit)]
    public async Task AnOwnerThatIsRestarted_GoesOn_AndGetsTheRestOnceItsSeederIsBack()
    {
        await using var host = await RegionHost.StartAsync();
        byte[] truth = new byte[Length];
        new Random(3).NextBytes(truth);
        await host.Seeder.Backend.WriteAsync(0, truth);
        var local = new MemoryBackend(Length);
        await AcceptAsync(host, new SwitchedBackend(local), truth);
        await host.StopAsync();

        await using var known = await OpenAsync(host, isBacked: true);
        Assert.Equal(host.Seeder.Description with { IsBacked = true }, known.Description);
        await using (var leecher = await Leecher.OpenAsync(_disk.Open(), local, known, new FreeHost(), s_options))
        {
            await leecher.Accepted;
            byte[] found = new byte[Chunk];
            await leecher.Backend.ReadAsync(0, found);
            Assert.Equal(truth[..Chunk], found);
            var missing = leecher.Backend.ReadAsync(7 * Chunk, found).AsTask();
            await Task.Delay(100);
            Assert.False(missing.IsCompleted);
            host.Start();
            await missing;
            Assert.Equal(truth[(7 * Chunk)..(8 * Chunk)], found);
            Assert.True(await leecher.Completed);
        }

        Assert.Equal(RegionRole.Released, host.Seeder.Record.Role);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task AHostThatHasNothing_NeedsTheSeeder()
    {
        await using var host = await RegionHost.StartAsync();
        await host.StopAsync();
        await Assert.ThrowsAsync<BackendException>(() => OpenAsync(host, isBacked: false));
        host.Start();
        await using var known = await OpenAsync(host, isBacked: true);
        Assert.Equal(host.Seeder.Description, known.Description);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ARegionOfAnotherShape_IsNotTakenForTheOneThatIsKnown_AndMayStillCome()
    {
        await using var host = await RegionHost.StartAsync();
        int calls = 0;
        await using var known = new KnownSeeder(
            host.Seeder.Description with { ChunkSize = Chunk * 2 },
            token => Interlocked.Increment(ref calls) == 1 ? throw new BackendException(BackendError.NotFound, "Nothing is there.") : FarspanSeeder.ConnectAsync(host.Options, options: null, token));
        var track = new SeederRequest(SeederCall.Track, Guid.NewGuid());
        var absent = await Assert.ThrowsAsync<BackendException>(() => known.AskAsync(track).AsTask());
        Assert.True(absent.IsTransient);
        var other = await Assert.ThrowsAsync<BackendException>(() => known.AskAsync(track).AsTask());
        Assert.Equal((BackendError.Invalid, true), (other.Error, other.IsTransient));
        Assert.Contains("chunks of 4096", other.Message, StringComparison.Ordinal);
        Assert.Equal(2, calls);
        await known.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => known.AskAsync(track).AsTask());
    }

    // The region comes, but for chunks that changed last; and this host ends.
    private async Task AcceptAsync(RegionHost host, IBackend local, byte[] truth)
    {
        await using var known = await OpenAsync(host, isBacked: false);
        bool isCut = false;
        var seeder = new DyingSeeder(known, () => isCut);
        await using var leecher = await Leecher.OpenAsync(_disk.Open(), local, new Reads(known, seeder), new FreeHost(), s_options);
        while (leecher.Status.MissingBytes > 0)
            await Task.Delay(5);
        truth.AsSpan(7 * Chunk, Chunk).Fill(9);
        await host.Seeder.Backend.WriteAsync(7 * Chunk, truth.AsMemory(7 * Chunk, Chunk));
        isCut = true;
        leecher.RequestFinalize();
        await leecher.Accepted;
        await leecher.Backend.FlushAsync();
        Assert.Equal(Chunk, leecher.Status.MissingBytes);
    }

    private async Task<KnownSeeder> OpenAsync(RegionHost host, bool isBacked)
        => await KnownSeeder.OpenAsync(
            _disk.Open(), BackendUri.Parse($"farspan+unix:///?socket={host.Options.Endpoint.Path}&reconnect=0s"), new BackendOpenOptions(), new FarspanSeederOptions(), isBacked, CancellationToken.None);

    /// <summary>A seeder whose reads are another one's.</summary>
    private sealed class Reads(ISeeder asked, ISeeder read) : ISeeder
    {
        public SeederDescription Description => asked.Description;

        public ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default) => asked.AskAsync(request, cancellationToken);

        public ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
            => read.ReadAsync(request, offset, buffer, cancellationToken);

        public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
            => asked.DigestAsync(request, firstChunk, digests, cancellationToken);

        public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
            => asked.ListAsync(request, firstChunk, limit, cancellationToken);
    }
}
