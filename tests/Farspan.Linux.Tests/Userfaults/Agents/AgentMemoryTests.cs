using Farspan.Backends;
using Farspan.Linux.Userfaults.Agents;
using Farspan.Mounts;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults.Agents;

public sealed class AgentMemoryTests
{
    [RequiresFact("userfault")]
    public async Task Memory_HoldsTheBackend_AndFlushedIsThere()
    {
        await using var world = new AgentWorld(1_000_001, AgentWorld.Small);
        await using var memory = await world.MapAsync();
        Assert.Equal(world.Bytes.Length, memory.Length);
        byte[] found = new byte[memory.Length];
        AgentWorld.Read(memory, 0, found);
        Assert.Equal(world.Bytes, found);
        AgentWorld.Write(memory, 5000, "far away"u8);
        AgentWorld.Write(memory, memory.Length - 3, "end"u8);
        Assert.Equal(2 * 4096, (await memory.GetStatusAsync()).UnsavedBytes);
        await memory.FlushAsync();
        Assert.Equal("far away"u8.ToArray(), world.Stored(5000, 8));
        Assert.Equal("end"u8.ToArray(), world.Stored(memory.Length - 3, 3));
        Assert.Equal(0, (await memory.GetStatusAsync()).UnsavedBytes);

        // What is written after a save is noticed anew.
        AgentWorld.Write(memory, 5000, "and back"u8);
        await memory.CloseAsync();
        Assert.Equal("and back"u8.ToArray(), world.Stored(5000, 8));
        Assert.Throws<ObjectDisposedException>(() => memory.GetSpan(0, 1)[0]);
    }

    [RequiresFact("userfault")]
    public async Task PartOfTheBackend_IsMapped_AndOthersCannotWriteIt()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        await using var memory = await world.MapAsync(new AgentMemoryOptions { Offset = 8192, Length = 10_000 });
        Assert.Equal(world.Bytes[8192 + 9999], AgentWorld.Touch(memory, 9999));
        AgentWorld.Write(memory, 9999, [7]);
        var taken = await Assert.ThrowsAsync<BackendException>(() => world.MapAsync(new AgentMemoryOptions { Offset = 16384, ReadOnly = true }));
        Assert.Equal(BackendError.Leased, taken.Error);
        await using (var beside = await world.MapAsync(new AgentMemoryOptions { Offset = 20480 }))
            Assert.Equal(world.Bytes[20480], AgentWorld.Touch(beside, 0));
        await memory.CloseAsync();
        Assert.Equal([world.Bytes[8192 + 9998], 7, world.Bytes[8192 + 10_000]], world.Stored(8192 + 9998, 3));
        await using var one = await world.MapAsync(new AgentMemoryOptions { ReadOnly = true });
        await using var other = await world.MapAsync(new AgentMemoryOptions { ReadOnly = true });
        Assert.Equal(AgentWorld.Touch(one, 0), AgentWorld.Touch(other, 0));
    }

    [RequiresFact("userfault")]
    public async Task ReadOnly_IsRead_AndRefusesToBeWritten()
    {
        await using var world = new AgentWorld(isReadOnly: true);
        await using var memory = await world.MapAsync();
        Assert.True(memory.IsReadOnly);
        Assert.Throws<InvalidOperationException>(() => memory.GetSpan(0, 1)[0] = 1);
        Assert.Equal(world.Bytes[4097], AgentWorld.Touch(memory, 4097));
        await memory.FlushAsync();
    }

    [RequiresFact("userfault")]
    public async Task Prefetch_BringsARange()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        await using var memory = await world.MapAsync();
        await memory.PrefetchAsync(100_000, 500_000);
        Assert.InRange((await memory.GetStatusAsync()).BroughtBytes, 500_000, 600_000);
        world.Faulty.Fail(FaultKind.Read);
        byte[] found = new byte[500_000];
        AgentWorld.Read(memory, 100_000, found);
        Assert.Equal(world.Bytes[100_000..600_000], found);
        world.Faulty.Heal();
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.PrefetchAsync(1 << 20, 1).GetAwaiter().GetResult());
    }

    [RequiresFact("userfault")]
    public async Task FlushAndClose_HaveTheBackendMakeItDurable()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small with { SaveInterval = TimeSpan.FromDays(1) });
        await using var memory = await world.MapAsync();
        Assert.Equal(0, world.Faulty.Flushes);
        AgentWorld.Write(memory, 100, [1]);
        await memory.FlushAsync();
        int flushed = world.Faulty.Flushes;
        Assert.True(flushed > 0);
        AgentWorld.Write(memory, 100, [2]);
        await memory.CloseAsync();
        Assert.True(world.Faulty.Flushes > flushed);
    }

    [RequiresFact("userfault")]
    public async Task FlushThatFails_SaysSo_AndGoesOnOnceTheBackendIsBack()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        await using var memory = await world.MapAsync();
        AgentWorld.Write(memory, 100, [1, 2, 3]);
        world.Faulty.Fail(FaultKind.Write);
        var error = await Assert.ThrowsAsync<BackendException>(() => memory.FlushAsync());
        Assert.Contains("The test fails every Write", error.Message, StringComparison.Ordinal);
        Assert.True((await memory.GetStatusAsync()).UnsavedBytes > 0);
        world.Faulty.Heal();
        await memory.FlushAsync();
        Assert.Equal([1, 2, 3], world.Stored(100, 3));
    }

    [RequiresFact("userfault")]
    public async Task CloseThatFails_SaysSo_AndTheAgentSaysWhatIsLost()
    {
        var world = new AgentWorld(options: AgentWorld.Small);
        var memory = await world.MapAsync();
        AgentWorld.Write(memory, 100, [1, 2, 3]);
        world.Faulty.Fail(FaultKind.Write);
        await Assert.ThrowsAsync<MountException>(() => memory.CloseAsync());
        Assert.True((await world.GoneAsync(1)).LostBytes > 0);
        var lost = await Assert.ThrowsAsync<MountException>(() => world.DisposeAsync().AsTask());
        Assert.Contains("are lost", lost.Message, StringComparison.Ordinal);
    }

    // Beside saves, evictions and reads of others: every byte is what was written last, and a flush has all of it.
    [RequiresTheory("userfault")]
    [InlineData(1, null)]
    [InlineData(2, 256 << 10)]
    [InlineData(3, 256 << 10)]
    public async Task RandomUse_IsWhatAnArrayIs(int seed, int? limit)
    {
        var options = AgentWorld.Small with { ResidentLimit = limit, SaveInterval = TimeSpan.FromMilliseconds(10), ReadAhead = 64 << 10 };
        await using var world = new AgentWorld((2 << 20) + (seed * 777), options);
        await using var memory = await world.MapAsync();
        byte[] model = [.. world.Bytes];
        var random = new Random(seed);
        byte[] buffer = new byte[60_000];
        for (int round = 0; round < 600; round++)
        {
            var part = buffer.AsSpan(0, random.Next(1, random.Next(2) == 0 ? 20 : buffer.Length));
            int offset = random.Next(model.Length - part.Length);
            switch (random.Next(20))
            {
                case 0:
                    await memory.FlushAsync();
                    Assert.Equal(model, world.Stored(0, model.Length));
                    break;
                case 1:
                    await memory.PrefetchAsync(offset, part.Length);
                    break;
                case < 10:
                    random.NextBytes(part);
                    part.CopyTo(model.AsSpan(offset));
                    AgentWorld.Write(memory, offset, part);
                    break;
                default:
                    AgentWorld.Read(memory, offset, part);
                    Assert.True(part.SequenceEqual(model.AsSpan(offset, part.Length)), $"round {round}, {part.Length} bytes at {offset}");
                    break;
            }
        }

        await memory.CloseAsync();
        Assert.Equal(model, world.Stored(0, model.Length));
        if (limit is not null)
            Assert.True(world.Reports.Last().BroughtBytes > model.Length);
    }

    // A save protects pages while they are written: whatever comes between is in the next one.
    [RequiresFact("userfault")]
    public async Task WritersBesideSavesAndEvictions_LoseNothing()
    {
        var options = AgentWorld.Small with { ChunkSize = 4096, ResidentLimit = 128 << 10, SaveInterval = TimeSpan.FromMilliseconds(10) };
        await using var world = new AgentWorld(1 << 20, options);
        await using var memory = await world.MapAsync();
        var last = new int[256];
        var writers = Enumerable.Range(0, 3).Select(writer => Task.Factory.StartNew(
            () =>
            {
                var random = new Random(writer);
                for (int round = 1; round <= 4000; round++)
                {
                    int page = (random.Next(256 / 3) * 3) + writer;
                    last[page] = round;
                    AgentWorld.Write(memory, (page * 4096L) + 512, BitConverter.GetBytes(round));
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)).ToArray();
        var all = Task.WhenAll(writers);
        while (!all.IsCompleted)
            await memory.FlushAsync();
        await all;
        await memory.CloseAsync();
        byte[] stored = world.Stored(0, 1 << 20);
        Assert.All(Enumerable.Range(0, 256).Where(page => last[page] > 0), page => Assert.Equal(last[page], BitConverter.ToInt32(stored, (page * 4096) + 512)));
    }
}
