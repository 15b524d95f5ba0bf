using Farspan.Backends;
using Farspan.Linux.Migration;
using Farspan.Linux.Userfaults;
using Farspan.Migration.Finalizing;
using Farspan.TestKit;
using Farspan.Transports;
using Xunit;

namespace Farspan.Linux.Tests.Migration;

/// <summary>Regions that move between migrators of one process, over loopback.</summary>
public sealed class MigratorTests : IDisposable
{
    private const int Length = 8 << 20;

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [RequiresFact("fuse", Timeout = 300_000)]
    public async Task AFileMovesTwice_WhileItsProgramWrites()
    {
        byte[] model = new byte[Length];
        Random.Shared.NextBytes(model);
        var store = new MemoryBackend(Length);
        await store.WriteAsync(0, model);
        using var program = new Writer(model);
        await using var first = await Migrator.SeedAsync(store, Options("a", program));
        string uri = await ListenAsync(first);
        program.Use(first);

        await using var second = await Migrator.LeechAsync(uri, new MemoryBackend(Length), Options("b", program));
        await second.Arrived;
        program.Use(second);
        Assert.True(await second.Completed);
        await first.Left;
        Assert.Equal(MigrationRole.Released, first.Status.Role);
        Assert.Throws<BackendException>(() => first.OpenFile().ReadAt(0, new byte[1]));
        string next = await ListenAsync(second);

        await using var third = await Migrator.LeechAsync(next, new MemoryBackend(Length), Options("c", program));
        await third.Arrived;
        program.Use(third);
        Assert.True(await third.Completed);
        await program.EndAsync();
        byte[] found = await File.ReadAllBytesAsync(third.Path!);
        Assert.Equal(model, found);
        Assert.Equal((MigrationRole.Owner, 3L, 0L), (third.Status.Role, third.Status.Epoch, third.Status.MissingBytes));
        Assert.True(program.Writes > 20, $"Only {program.Writes} writes.");
    }

    [RequiresFact("userfault", Timeout = 300_000)]
    public async Task MemoryMoves_WithWhatWasWrittenToIt()
    {
        await using var first = await Migrator.SeedAsync(new MemoryBackend(Length), Options("a", null));
        byte[] bytes = new byte[100_000];
        Random.Shared.NextBytes(bytes);
        await using var memory = first.Map();
        memory.CopyFrom(12_345, bytes);

        await using var second = await Migrator.LeechAsync(await ListenAsync(first), new MemoryBackend(Length), Options("b", null) with { Policy = new ManualFinalize() });
        memory.CopyFrom(5_000_000, bytes);
        second.RequestHandOver();
        await second.Arrived;
        await using var moved = second.Map();
        byte[] found = new byte[bytes.Length];
        moved.CopyTo(12_345, found);
        Assert.Equal(bytes, found);
        moved.CopyTo(5_000_000, found);
        Assert.Equal(bytes, found);
        Assert.True(await second.Completed);
    }

    [RequiresFact("userfault", Timeout = 300_000)]
    public async Task WhatIsWrittenToMemory_IsSavedAtRounds_WhileTheProgramRuns()
    {
        var store = new MemoryBackend(Length);
        await using var first = await Migrator.SeedAsync(store, Options("a", null));
        await using var memory = first.Map(new RemoteMemoryOptions { SaveInterval = TimeSpan.FromDays(1) });
        await using var second = await Migrator.LeechAsync(await ListenAsync(first), new MemoryBackend(Length), Options("b", null) with { Policy = new ManualFinalize(TimeSpan.FromMilliseconds(50)) });
        memory.CopyFrom(12_345, new byte[] { 1, 2, 3 });
        byte[] found = new byte[3];
        await Eventually.HoldsAsync(async () =>
        {
            await store.ReadAsync(12_345, found);
            return found is [1, 2, 3];
        });
        Assert.Equal(MigrationRole.Owner, first.Status.Role);
    }

    [Fact(Timeout = 300_000)]
    public async Task AMoveThatIsGivenUp_LeavesTheRegion_AndAnotherOneMayBegin()
    {
        await using var first = await Migrator.SeedAsync(new MemoryBackend(Length), Options("a", null));
        string uri = await ListenAsync(first);
        await using (var second = await Migrator.LeechAsync(uri, new MemoryBackend(Length), Options("b", null) with { Policy = new ManualFinalize() }))
        {
            Assert.True(await second.GiveUpAsync());
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second.Arrived);
            Assert.False(await second.Completed);
        }

        await first.Backend.WriteAsync(0, new byte[] { 1 });
        await using var third = await Migrator.LeechAsync(uri, new MemoryBackend(Length), Options("c", null));
        byte[] found = new byte[1];
        await third.Backend.ReadAsync(0, found);
        Assert.Equal(1, found[0]);
    }

    [Fact(Timeout = 120_000)]
    public async Task ARegionThatHasLeft_IsNotSeededAgain_AndAStoreIsClosedWithARefusal()
    {
        await using (var first = await Migrator.SeedAsync(new MemoryBackend(Length), Options("a", null)))
        {
            await using var second = await Migrator.LeechAsync(await ListenAsync(first), new MemoryBackend(Length), Options("b", null));
            await first.Left;
        }

        var refusal = await Assert.ThrowsAsync<BackendException>(() => Migrator.SeedAsync(new MemoryBackend(Length), Options("a", null)));
        Assert.Equal(BackendError.Leased, refusal.Error);
        Assert.Contains("has moved to another host", refusal.Message, StringComparison.Ordinal);
    }

    private MigratorOptions Options(string host, Writer? program) => new()
    {
        StateDirectory = Path.Combine(_directory.Path, host + ".state"), Target = program is null ? null : Path.Combine(_directory.Path, host),
        Policy = new FixedFinalize(TimeSpan.FromMilliseconds(300)),
        Suspend = _ => program?.SuspendAsync() ?? default, Resume = _ => program?.ResumeAsync() ?? default,
    };

    private static async Task<string> ListenAsync(Migrator migrator)
    {
        var listener = StreamListener.Bind(StreamEndpoint.Parse("127.0.0.1:0", 0));
        string uri = $"farspan://{listener.Endpoint}/";
        await migrator.ListenAsync(listener);
        return uri;
    }

    /// <summary>A program that writes to the file of one host after the other, and keeps what must be there.</summary>
    private sealed class Writer(byte[] model) : IDisposable
    {
        private readonly SemaphoreSlim _turn = new(1, 1);
        private readonly CancellationTokenSource _ending = new();
        private Task _running = Task.CompletedTask;
        private Migrator? _host;

        public int Writes { get; private set; }

        public async ValueTask SuspendAsync()
        {
            await _turn.WaitAsync();
            _host = null;
            _turn.Release();
        }

        public ValueTask ResumeAsync() => default;

        public void Use(Migrator host)
        {
            _host = host;
            if (_running.IsCompleted)
                _running = Task.Run(WriteAsync);
        }

        public void Dispose()
        {
            _turn.Dispose();
            _ending.Dispose();
        }

        public async Task EndAsync()
        {
            await _ending.CancelAsync();
            await _running;
        }

        private async Task WriteAsync()
        {
            while (!_ending.IsCancellationRequested || Writes < 20)
            {
                await _turn.WaitAsync();
                try
                {
                    if (_host is not { } host)
                        continue;
                    int offset = Random.Shared.Next(Length - 9000);
                    byte[] bytes = new byte[Random.Shared.Next(1, 9000)];
                    Random.Shared.NextBytes(bytes);
                    using var file = host.OpenFile();
                    await file.WriteAtAsync(offset, bytes);
                    bytes.CopyTo(model, offset);
                    Writes++;
                }
                finally
                {
                    _turn.Release();
                }

                await Task.Delay(2);
            }
        }
    }
}
