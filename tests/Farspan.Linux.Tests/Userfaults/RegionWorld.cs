using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.Stages;

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
        Injected = new FaultInjectionStage(Faulty);
        Memory = AnonymousMemory.Create(length, isReadOnly: false, features, without);
        Service = RegionService.Start(Memory, Injected, options ?? new RegionOptions { ChunkSize = 16 << 10, ReadAhead = 0 });
    }

    public long Length => _bytes.Length;

    public FaultyBackend Faulty { get; }

    /// <summary>Between the two, for calls that are to wait or to be counted.</summary>
    public FaultInjectionStage Injected { get; }

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

    /// <summary>Has the kernel read a byte, for a call of write(2): null where it says EFAULT.</summary>
    public byte? Peek(long offset) => Peek(Memory, offset);

    /// <inheritdoc cref="Peek(long)"/>
    public static unsafe byte? Peek(RegionMemory memory, long offset)
    {
        int* pair = stackalloc int[2];
        Xunit.Assert.Equal(0, Libc.Pipe(pair, Libc.O_CLOEXEC));
        try
        {
            byte found = 0;
            if (Libc.Write(pair[1], (byte*)memory.Address + offset, 1) != 1)
            {
                Xunit.Assert.Equal(Errno.EFAULT, LinuxError.Last);
                return null;
            }

            Xunit.Assert.Equal(1, Libc.Read(pair[0], &found, 1));
            return found;
        }
        finally
        {
            _ = Libc.Close(pair[0]);
            _ = Libc.Close(pair[1]);
        }
    }

    public Task<byte?> PeekAsync(long offset)
        => Task.Factory.StartNew(() => Peek(offset), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public unsafe void Write(long offset, byte value) => Libc.CopyMemory((byte*)Memory.Address + offset, &value, 1);

    public async ValueTask DisposeAsync()
    {
        Xunit.Assert.True(await Service.StopAsync());
        await Injected.DisposeAsync();
    }
}
