using Farspan.Backends;

namespace Farspan.FuseHost;

/// <summary>A memory backend with knobs: it can be slow, fail, stand still, and it counts what is asked of it.</summary>
internal sealed class KnobBackend(long length) : IBackend, IMemoryLender, IZero, IExtentSource
{
    private readonly MemoryBackend _memory = new(length);
    private TaskCompletionSource? _gate;
    private int _running;
    private int _reads;
    private int _writes;
    private int _flushes;
    private int _cancelled;
    private int _mostRunning;

    public long Length => _memory.Length;

    public bool IsReadOnly { get; init; }

    public bool CanZeroFast => true;

    /// <summary>Whether ranges can be zeroed and extents listed.</summary>
    public bool HasRanges { get; init; } = true;

    /// <summary>Whether bytes are lent instead of copied.</summary>
    public bool Lends { get; set; } = true;

    /// <summary>Whether calls that stand still do not hear that they are cancelled.</summary>
    public bool IgnoresCancellation { get; init; }

    /// <summary>Whether calls that stand still block their caller's thread.</summary>
    public bool Blocks { get; init; }

    /// <summary>Delay of every call; null completes calls synchronously.</summary>
    public TimeSpan? Delay { get; set; }

    /// <summary>What reads fail with; null for none.</summary>
    public BackendError? ReadError { get; set; }

    public BackendError? WriteError { get; set; }

    public BackendError? FlushError { get; set; }

    public string Counts => $"reads={_reads} writes={_writes} flushes={_flushes} cancelled={_cancelled} running={_running} most={_mostRunning}";

    /// <summary>Reads, writes and flushes so far.</summary>
    public int CallCount => Volatile.Read(ref _reads) + Volatile.Read(ref _writes) + Volatile.Read(ref _flushes);

    private bool IsImmediate => Delay is null && Volatile.Read(ref _gate) is null;

    /// <summary>Makes calls stand still, or lets them go on.</summary>
    public void Hold(bool isHeld)
    {
        if (isHeld)
            Interlocked.CompareExchange(ref _gate, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), comparand: null);
        else
            Interlocked.Exchange(ref _gate, value: null)?.TrySetResult();
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Interlocked.Increment(ref _reads);
        return IsImmediate && ReadError is null
            ? _memory.ReadAsync(offset, buffer, cancellationToken)
            : Slowly(() => ReadError, () => _memory.ReadAsync(offset, buffer, CancellationToken.None), cancellationToken);
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Interlocked.Increment(ref _writes);
        return IsImmediate && WriteError is null
            ? _memory.WriteAsync(offset, buffer, cancellationToken)
            : Slowly(() => WriteError, () => _memory.WriteAsync(offset, buffer, CancellationToken.None), cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        Interlocked.Increment(ref _flushes);
        return Slowly(() => FlushError, () => _memory.FlushAsync(CancellationToken.None), cancellationToken);
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(IMemoryLender) || HasRanges ? this as TCapability : null;

    public bool TryLend(long offset, int length, out LentMemory lent)
    {
        lent = default;
        if (!Lends || !IsImmediate || ReadError is not null || !_memory.TryLend(offset, length, out lent))
            return false;
        Interlocked.Increment(ref _reads);
        return true;
    }

    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
        => Slowly(() => WriteError, () => _memory.ZeroAsync(offset, length, mode, CancellationToken.None), cancellationToken);

    public ValueTask ListExtentsAsync(long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
        => _memory.ListExtentsAsync(offset, length, limit, extents, cancellationToken);

    /// <summary>The bytes as they are, past every knob.</summary>
    public async Task<byte[]> PeekAsync(long offset, int count)
    {
        byte[] bytes = new byte[count];
        await _memory.ReadAsync(offset, bytes);
        return bytes;
    }

    /// <summary>Changes bytes, past every knob.</summary>
    public ValueTask PokeAsync(long offset, byte[] bytes) => _memory.WriteAsync(offset, bytes);

    public ValueTask DisposeAsync() => _memory.DisposeAsync();

    private Task StandStill(Task gate, CancellationToken cancellationToken)
    {
        if (Blocks)
            gate.Wait(CancellationToken.None);
        return IgnoresCancellation ? gate : gate.WaitAsync(cancellationToken);
    }

    private async ValueTask Slowly(Func<BackendError?> error, Func<ValueTask> act, CancellationToken cancellationToken)
    {
        int running = Interlocked.Increment(ref _running);
        for (int most = Volatile.Read(ref _mostRunning); running > most; most = Volatile.Read(ref _mostRunning))
            Interlocked.CompareExchange(ref _mostRunning, running, most);
        try
        {
            if (Volatile.Read(ref _gate) is { } gate)
                await StandStill(gate.Task, cancellationToken);
            if (Delay is { } delay)
                await Task.Delay(delay, cancellationToken);
            if (error() is { } failure)
                throw new BackendException(failure, $"The knob says {failure}.");
            await act();
        }
        catch (OperationCanceledException)
        {
            Interlocked.Increment(ref _cancelled);
            throw;
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }
}
