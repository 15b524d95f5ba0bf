using Farspan.Backends;
using Farspan.Migration;
using Farspan.TestKit.Simulation;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Migration;

public sealed class PlainSeederServiceTests
{
    private const int Chunk = 4096;
    private const int Length = (15 * Chunk) + 100;

    private static readonly Guid Token = new(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    private static readonly Guid OtherToken = new(2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

    [Fact(Timeout = 120_000)]
    public Task AMove_GoesThroughThePlainCalls() => RunAsync(async (disk, host, seeder) =>
    {
        var plain = new PlainSeederService(seeder, Token);
        Assert.Equal(Length, await plain.SizeAsync());
        await plain.TrackAsync();
        await seeder.Backend.WriteAsync(0, new byte[] { 1, 2, 3 });
        await seeder.Backend.WriteAsync(14 * Chunk, new byte[Chunk + 100]);
        byte[] bytes = new byte[3];
        Assert.Equal(3, await plain.ReadAtAsync(0, bytes));
        Assert.Equal([1, 2, 3], bytes);
        Assert.Equal(100, await plain.ReadAtAsync(15 * Chunk, new byte[Chunk]));
        Assert.Equal(0, await plain.ReadAtAsync(Length, new byte[Chunk]));

        Assert.Equal([0, 14 * Chunk, 15 * Chunk], await plain.SyncAsync());
        Assert.False(host.IsRunning);
        Assert.Equal([0, 14 * Chunk, 15 * Chunk], await plain.SyncAsync());
        Assert.Equal(3, await plain.ReadAtAsync(0, bytes));
        await plain.CloseAsync();
        Assert.Equal(RegionRole.Released, seeder.Record.Role);
        await Assert.ThrowsAsync<BackendException>(async () => await plain.ReadAtAsync(0, bytes));
        Assert.Equal(RegionRole.Released, (await RegionRecordFile.ReadAsync(disk.Open())).Role);
    });

    [Fact(Timeout = 120_000)]
    public Task ClosingBeforeASync_LetsTheProgramGoOn_AndAnotherClientCome() => RunAsync(async (_, host, seeder) =>
    {
        var plain = new PlainSeederService(seeder, Token);
        var other = new PlainSeederService(seeder, OtherToken);
        await plain.TrackAsync();
        var busy = await Assert.ThrowsAsync<BackendException>(async () => await other.TrackAsync());
        Assert.Equal((BackendError.Leased, true), (busy.Error, busy.IsTransient));
        await plain.CloseAsync();
        Assert.True(host.IsRunning);
        await other.TrackAsync();
        Assert.Equal(RegionRole.Owner, seeder.Record.Role);
    });

    [Fact(Timeout = 120_000)]
    public Task WithoutTrack_NothingIsReadOrHandedOver() => RunAsync(async (_, host, seeder) =>
    {
        var plain = new PlainSeederService(seeder, Token);
        Assert.Contains("Track", (await Assert.ThrowsAsync<BackendException>(async () => await plain.ReadAtAsync(0, new byte[1]))).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<BackendException>(async () => await plain.SyncAsync());
        Assert.True(host.IsRunning);
    });

    [Fact(Timeout = 120_000)]
    public Task ASuspensionThatFails_FailsTheSync_AndCanBeTriedAgain() => RunAsync(async (_, host, seeder) =>
    {
        var plain = new PlainSeederService(seeder, Token);
        await plain.TrackAsync();
        host.Failure = new InvalidOperationException("Not now.");
        Assert.True((await Assert.ThrowsAsync<BackendException>(async () => await plain.SyncAsync())).IsTransient);
        Assert.True(host.IsRunning);
        Assert.Empty(await plain.SyncAsync());
    });

    [Fact(Timeout = 120_000)]
    public Task ARestartedSeeder_NamesEveryChunk() => RunAsync(async (disk, host, first) =>
    {
        await new PlainSeederService(first, Token).TrackAsync();
        var plain = new PlainSeederService(first, Token);
        await plain.TrackAsync();
        await plain.SyncAsync();
        await first.DisposeAsync();

        var seeder = await OpenAsync(disk, host);
        var again = new PlainSeederService(seeder, Token);
        await again.TrackAsync();
        Assert.Equal(Enumerable.Range(0, 16).Select(static chunk => (long)chunk * Chunk), await again.SyncAsync());
    });

    private static Task RunAsync(Func<SimulatedDisk, ScriptedHost, Seeder, Task> test)
    {
        VirtualTime.Run(async clock =>
        {
            var disk = new SimulatedDisk(1, clock) { IsSlow = false };
            var host = new ScriptedHost();
            await test(disk, host, await OpenAsync(disk, host, clock));
        });
        return Task.CompletedTask;
    }

    private static async ValueTask<Seeder> OpenAsync(SimulatedDisk disk, ScriptedHost host, TimeProvider? clock = null)
    {
        var files = disk.Open();
        var store = await files.OpenDataAsync("data", Length);
        return await Seeder.OpenAsync(files, store, host, new SeederOptions { ChunkSize = Chunk, Clock = clock ?? TimeProvider.System });
    }
}
