using System.Runtime.InteropServices;
using Farspan.Backends;

namespace Farspan.FuseHost;

/// <summary>Memory with knobs: it can be slow, fail, stand still, and it counts what is asked of it.</summary>
internal sealed class KnobBackend : IBackend, IMemoryLender, IZero, IExtentSource
{
    private const int ExtentUnit = 4096;

    private readonly NativeBytes _bytes;
    private TaskCompletionSource? _gate;
    private int _running;

    public KnobBackend(long length)
    {
        Length = length;
        _bytes = new NativeBytes(length);
    }

    public long Length { get; }

    public bool IsReadOnly { get; init; }

    /// <summary>Whether bytes are lent instead of copied.</summary>
    public bool Lends { get; set; } = true;

    /// <summary>Whether ranges can be zeroed and extents listed.</summary>
    public bool HasRanges { get; init; } = true;

    /// <summary>Delay of every call; null completes calls synchronously.</summary>
    public TimeSpan? Delay { get; set; }

    /// <summary>What reads, writes and flushes fail with; null for none.</summary>
    public BackendError? ReadError { get; set; }

    public BackendError? WriteError { get; set; }

    public BackendError? FlushError { get; set; }

    public int Reads;
    public int Writes;
    public int Flushes;
    public int Cancelled;
    public int MostRunning;

    /// <summary>Whether calls stand still until this is set to false again.</summary>
    public bool IsHeld
    {
        set
        {
            if (value)
            {
                Interlocked.CompareExchange(ref _gate, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), comparand: null);
            }
            else
            {
                Interlocked.Exchange(ref _gate, value: null)?.TrySetResult();
            }
        }
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        Interlocked.Increment(ref Reads);
        if (IsImmediate && ReadError is null)
        {
            _bytes.Read(offset, buffer.Span);
            return ValueTask.CompletedTask;
        }

        return Slowly(() => ReadError, () => _bytes.Read(offset, buffer.Span), cancellationToken);
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        Interlocked.Increment(ref Writes);
        if (IsImmediate && WriteError is null)
        {
            _bytes.Write(offset, buffer.Span);
            return ValueTask.CompletedTask;
        }

        return Slowly(() => WriteError, () => _bytes.Write(offset, buffer.Span), cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
        => Slowly(() => FlushError, () => Interlocked.Increment(ref Flushes), cancellationToken);

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(IMemoryLender) || HasRanges ? this as TCapability : null;

    public bool TryLend(long offset, int length, out LentMemory lent)
    {
        BackendRange.Check(Length, offset, length);
        if (!Lends || !IsImmediate || ReadError is not null)
        {
            lent = default;
            return false;
        }

        Interlocked.Increment(ref Reads);
        lent = _bytes.Lend(offset, length);
        return true;
    }

    public bool CanZeroFast => true;

    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        return Slowly(() => WriteError, () => _bytes.Clear(offset, length), cancellationToken);
    }

    public ValueTask ListExtentsAsync(long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        long end = offset + length;
        while (offset < end && extents.Count < limit)
        {
            long next = offset;
            var kind = KindAt(offset);
            while (next < end && KindAt(next) == kind)
                next = Math.Min((next / ExtentUnit + 1) * ExtentUnit, end);
            extents.Add(new Extent(offset, next - offset, kind));
            offset = next;
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>The bytes as they are, past every knob.</summary>
    public byte[] Peek(long offset, int length)
    {
        byte[] bytes = new byte[length];
        _bytes.Read(offset, bytes);
        return bytes;
    }

    public ValueTask DisposeAsync()
    {
        _bytes.Dispose();
        return ValueTask.CompletedTask;
    }

    private bool IsImmediate => Delay is null && Volatile.Read(ref _gate) is null;

    private ExtentKind KindAt(long offset)
        => _bytes.IsZero(offset, (int)Math.Min(ExtentUnit - offset % ExtentUnit, Length - offset)) ? ExtentKind.Hole | ExtentKind.Zero : ExtentKind.Data;

    private async ValueTask Slowly(Func<BackendError?> error, Action act, CancellationToken cancellationToken)
    {
        int running = Interlocked.Increment(ref _running);
        for (int most = Volatile.Read(ref MostRunning); running > most; most = Volatile.Read(ref MostRunning))
            Interlocked.CompareExchange(ref MostRunning, running, most);
        try
        {
            if (Volatile.Read(ref _gate) is { } gate)
                await gate.Task.WaitAsync(cancellationToken);
            if (Delay is { } delay)
                await Task.Delay(delay, cancellationToken);
            if (error() is { } failure)
                throw new BackendException(failure, $"The knob says {failure}.");
            act();
        }
        catch (OperationCanceledException)
        {
            Interlocked.Increment(ref Cancelled);
            throw;
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }
}
