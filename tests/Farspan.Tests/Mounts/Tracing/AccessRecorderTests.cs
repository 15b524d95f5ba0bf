using Farspan.Backends;
using Farspan.Mounts.Tracing;
using Xunit;

namespace Farspan.Tests.Mounts.Tracing;

public sealed class AccessRecorderTests
{
    private const int Chunk = 4096;

    [Fact]
    public async Task EachChunk_IsNotedOnce_InTheOrderOfTheFirstTouch()
    {
        await using var recorder = new AccessRecorder(new MemoryBackend(100 * Chunk), Chunk);
        byte[] buffer = new byte[10 * Chunk];
        await recorder.ReadAsync(50 * Chunk, buffer.AsMemory(0, 1));
        await recorder.WriteAsync(10 * Chunk - 1, buffer.AsMemory(0, 2));
        await recorder.ReadAsync(8 * Chunk, buffer);
        await recorder.WriteAsync(50 * Chunk, buffer.AsMemory(0, Chunk));
        Assert.Equal([new(50, 1, false), new(9, 2, true), new(8, 1, false), new(11, 7, false)], recorder.ToTrace().Runs);
    }

    [Fact]
    public async Task RunOverManyChunks_IsOne_AndSoAreCallsThatFollowEachOther()
    {
        await using var recorder = new AccessRecorder(new MemoryBackend(1000 * Chunk + 5), Chunk);
        byte[] buffer = new byte[400 * Chunk];
        await recorder.ReadAsync(60 * Chunk, buffer);
        await recorder.ReadAsync(460 * Chunk, buffer);
        await recorder.ReadAsync(1000 * Chunk, buffer.AsMemory(0, 5));
        Assert.Equal([new(60, 800, false), new(1000, 1, false)], recorder.ToTrace().Runs);
    }

    [Fact]
    public async Task CallsWithoutBytes_OrThatNeedNone_AreNotNoted()
    {
        await using var recorder = new AccessRecorder(new MemoryBackend(100 * Chunk), Chunk);
        await recorder.ReadAsync(5, Memory<byte>.Empty);
        await recorder.GetCapability<ITrim>()!.TrimAsync(0, Chunk);
        await recorder.GetCapability<IZero>()!.ZeroAsync(0, Chunk, ZeroMode.None);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await recorder.ReadAsync(100 * Chunk, new byte[1]));
        Assert.Empty(recorder.ToTrace().Runs);
    }

    [Fact]
    public async Task LentBytes_AreReads()
    {
        var memory = new MemoryBackend(100 * Chunk);
        await memory.WriteAsync(8 * Chunk, new byte[] { 1 });
        await using var recorder = new AccessRecorder(memory, Chunk);
        await recorder.WriteAsync(7 * Chunk, new byte[] { 1 });
        var before = recorder.ToTrace().TouchedCount;
        Assert.True(recorder.GetCapability<IMemoryLender>()!.TryLend(8 * Chunk, Chunk, out var lent));
        lent.Dispose();
        Assert.Equal((1, 2), (before, recorder.ToTrace().TouchedCount));
    }

    [Fact(Timeout = 120_000)]
    public async Task ManyThreads_NoteEachChunkOnce()
    {
        const int ChunkCount = 20_000;
        await using var recorder = new AccessRecorder(new MemoryBackend((long)ChunkCount * Chunk), Chunk);
        await Parallel.ForEachAsync(Enumerable.Range(0, 8), async (seed, _) =>
        {
            var random = new Random(seed);
            byte[] buffer = new byte[70 * Chunk];
            for (int i = 0; i < 2_000; i++)
            {
                int count = random.Next(1, 70);
                await recorder.ReadAsync((long)random.Next(ChunkCount - count) * Chunk, buffer.AsMemory(0, count * Chunk), CancellationToken.None);
            }
        });
        await recorder.ReadAsync(0, new byte[ChunkCount * Chunk]);
        var chunks = recorder.ToTrace().Runs.SelectMany(run => Enumerable.Range((int)run.FirstChunk, (int)run.Count)).ToList();
        Assert.Equal(ChunkCount, chunks.Count);
        Assert.Equal(ChunkCount, chunks.Distinct().Count());
    }

    [Fact]
    public async Task TouchedChunk_CostsNoMemory()
    {
        await using var recorder = new AccessRecorder(new MemoryBackend(100 * Chunk), Chunk);
        byte[] buffer = new byte[50 * Chunk];
        await recorder.ReadAsync(0, buffer);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            _ = recorder.ReadAsync(i, buffer.AsMemory(0, 4096)).IsCompleted;
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
