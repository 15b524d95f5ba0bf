using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>A region over known bytes, and native touches of it.</summary>
internal sealed class RegionWorld : IAsyncDisposable
{
    private readonly byte[] _bytes;
    private readonly MemoryBackend _store;

    public RegionWorld(
        int length, RegionOptions? options = null, bool isZero = false, UserfaultFeatures features = UserfaultFeatures.None,
        UserfaultFeatures without = UserfaultFeatures.None)
    {
        _bytes = new byte[length];
        _store = new MemoryBackend(length);
        if (!isZero)
        {
            new Random(length).NextBytes(_bytes);
            _store.WriteAsync(0, _bytes).AsTask().GetAwaiter().GetResult();
        }

        Faulty = new FaultyBackend(_store, isLate: length % 3 == 0);
        Memory = AnonymousMemory.Create(length, isReadOnly: false, features, without);
        Service = RegionService.Start(Memory, Faulty, options ?? new RegionOptions { ChunkSize = 16 << 10, ReadAhead = 0 });
    }

    public long Length => _bytes.Length;

    public FaultyBackend Faulty { get; }

    public AnonymousMemory Memory { get; }

    public RegionService Service { get; }

    /// <summary>What the backend held at the start.</summary>
    public byte Byte(long offset) => _bytes[offset];

    /// <summary>What the backend holds now.</summary>
    public byte Stored(long offset)
    {
        byte[] found = new byte[1];
        _store.ReadAsync(offset, found).AsTask().GetAwaiter().GetResult();
        return found[0];
    }

    /// <summary>Reads as native code does: it waits where the collector does not wait for it.</summary>
    public unsafe byte Touch(long offset)
    {
        byte found = 0;
        Libc.CopyMemory(&found, (byte*)Memory.Address + offset, 1);
        return found;
    }

    public Task<byte> TouchAsync(long offset)
        => Task.Factory.StartNew(() => Touch(offset), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public unsafe void Write(long offset, byte value) => Libc.CopyMemory((byte*)Memory.Address + offset, &value, 1);

    public async ValueTask DisposeAsync()
    {
        Xunit.Assert.True(await Service.StopAsync());
        await Faulty.DisposeAsync();
    }
}
