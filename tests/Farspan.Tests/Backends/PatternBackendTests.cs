using System.Buffers.Binary;
using Farspan.Backends;
using Xunit;

namespace Farspan.Tests.Backends;

public sealed class PatternBackendTests
{
    [Fact(Timeout = 120_000)]
    public async Task Words_AreTheOutputsOfSplitMix64()
    {
        // The first three of the generator with seed 0, as its author published them.
        await using var backend = new PatternBackend(24);
        byte[] bytes = new byte[24];
        await backend.ReadAsync(0, bytes);
        Assert.Equal(
            [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F],
            Enumerable.Range(0, 3).Select(i => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(i * 8))));
    }

    [Fact(Timeout = 120_000)]
    public async Task AnyPart_IsThePartOfTheWhole()
    {
        await using var backend = new PatternBackend(1003);
        byte[] whole = new byte[1003];
        await backend.ReadAsync(0, whole);
        for (int offset = 0; offset < whole.Length; offset++)
        {
            foreach (int length in (int[])[0, 1, 7, 8, 9, 64, 1003])
            {
                byte[] part = new byte[Math.Min(length, whole.Length - offset)];
                await backend.ReadAsync(offset, part);
                Assert.True(whole.AsSpan(offset, part.Length).SequenceEqual(part), $"{part.Length} bytes at {offset}");
            }
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task FarOffsets_AreReachedAtOnceAndDiffer()
    {
        await using var backend = new PatternBackend(long.MaxValue);
        byte[] near = new byte[4096];
        byte[] far = new byte[4096];
        await backend.ReadAsync(0, near);
        await backend.ReadAsync(long.MaxValue - 4096, far);
        Assert.NotEqual(near, far);
    }

    [Fact(Timeout = 120_000)]
    public async Task Changes_AreRefused()
    {
        await using var backend = new PatternBackend(10);
        Assert.True(backend.IsReadOnly);
        var refusal = await Assert.ThrowsAsync<BackendException>(async () => await backend.WriteAsync(0, new byte[1]));
        Assert.Equal(BackendError.ReadOnly, refusal.Error);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await backend.WriteAsync(10, new byte[1]));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await backend.ReadAsync(5, new byte[6]));
        await backend.FlushAsync();
    }
}
