using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Mounts;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// Remote bytes as memory of this process, without a mount and without root: what is used is brought, what was written is saved in the background and
/// durable after a flush, and a region may be larger than memory.
/// </summary>
/// <remarks>
/// <para><see cref="AcquireAsync"/> hands out a range as a span, present until its view is disposed; <see cref="CopyTo"/> and <see cref="CopyFrom"/>
/// copy. All are safe beside the garbage collector and turn every failure into an exception. The region's address is not handed out: managed code
/// that touches absent memory would wait where the collector waits for it, and this process could not answer any more. Spans over a whole region
/// are for regions that another process serves.</para>
/// <para>Several threads may use the same bytes as they may use any memory. All members are thread-safe.</para>
/// </remarks>
public sealed partial class RemoteMemory : IAsyncDisposable
{
    private readonly RegionService _service;
    private readonly AnonymousMemory _memory;
    private readonly IBackend _backend;
    private readonly ManagedBackend? _managed;
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task<RemoteMemoryReport>? _closing;
    private long _flushedBytes;
    private int _users = 1;

    private RemoteMemory(RegionService service, AnonymousMemory memory, IBackend backend, ManagedBackend? managed, bool isReadOnly)
    {
        _service = service;
        _memory = memory;
        _backend = backend;
        _managed = managed;
        IsReadOnly = isReadOnly;
    }

    /// <summary>Number of bytes.</summary>
    public long Length => _backend.Length;

    /// <summary>Whether it is for reading only.</summary>
    public bool IsReadOnly { get; }

    /// <summary>The state at this moment.</summary>
    public RemoteMemoryStatus Status => new()
    {
        Length = Length,
        ResidentBytes = _service.ResidentBytes,
        HeldBytes = _service.HeldBytes,
        UnsavedBytes = Using(() => IsReadOnly ? 0 : _service.CountWritten(), 0),
        BroughtBytes = _service.Counters.FilledBytes,
        SavedBytes = _service.Counters.SavedBytes,
        EvictedBytes = _service.Counters.EvictedBytes,
        Faults = _service.Counters.Faults,
        LastError = _service.Failure ?? _service.Counters.LastError,
        Managed = _managed?.Status,
    };

    /// <summary>The region's service, for tests and measurements.</summary>
    internal RegionService Service => _service;

    /// <summary>Brings a range and hands it out; it stays in memory until the view is disposed.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the region.</exception>
    /// <exception cref="BackendException">It cannot be brought; or views would hold more than may be in memory.</exception>
    /// <exception cref="ObjectDisposedException">The region is closed.</exception>
    public async ValueTask<MemoryView> AcquireAsync(long offset, int length, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        Enter();
        try
        {
            await _service.AcquireAsync(offset, length, Use, cancellationToken);
            return View(offset, length);
        }
        catch
        {
            Leave();
            throw;
        }
    }

    /// <summary>Fills all of <paramref name="destination"/> with the bytes from <paramref name="offset"/> on, and waits where they are not here.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the region.</exception>
    /// <exception cref="BackendException">They cannot be brought.</exception>
    /// <exception cref="ObjectDisposedException">The region is closed.</exception>
    public void CopyTo(long offset, Span<byte> destination)
    {
        BackendRange.Check(Length, offset, destination.Length);
        for (int done = 0; done < destination.Length;)
        {
            int step = StepFrom(offset + done, destination.Length - done);
            Wait(offset + done, step, RegionUse.Reading);
            CopyOut(offset + done, destination.Slice(done, step));
            Release(offset + done, step, RegionUse.Reading);
            done += step;
        }
    }

    /// <summary>Writes all of <paramref name="source"/> from <paramref name="offset"/> on, and waits where what is there is not here.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the region.</exception>
    /// <exception cref="BackendException">What is there cannot be brought, or the region is for reading only.</exception>
    /// <exception cref="ObjectDisposedException">The region is closed.</exception>
    public void CopyFrom(long offset, ReadOnlySpan<byte> source)
    {
        CheckWrite(offset, source.Length);
        for (int done = 0; done < source.Length;)
        {
            int step = StepFrom(offset + done, source.Length - done);
            if (PutAbsent(offset + done, source.Slice(done, step)) is > 0 and var put)
            {
                done += put;
                continue;
            }

            Wait(offset + done, step, RegionUse.Writing);
            CopyIn(offset + done, source.Slice(done, step));
            Release(offset + done, step, RegionUse.Writing);
            done += step;
        }
    }

    /// <inheritdoc cref="CopyTo"/>
    public async ValueTask CopyToAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, destination.Length);
        for (int done = 0; done < destination.Length;)
        {
            int step = StepFrom(offset + done, destination.Length - done);
            await HoldAsync(offset + done, step, RegionUse.Reading, cancellationToken);
            CopyOut(offset + done, destination.Span.Slice(done, step));
            Release(offset + done, step, RegionUse.Reading);
            done += step;
        }
    }

    /// <inheritdoc cref="CopyFrom"/>
    public async ValueTask CopyFromAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        CheckWrite(offset, source.Length);
        for (int done = 0; done < source.Length;)
        {
            int step = StepFrom(offset + done, source.Length - done);
            if (await PutAbsentAsync(offset + done, source.Slice(done, step), cancellationToken) is > 0 and var put)
            {
                done += put;
                continue;
            }

            await HoldAsync(offset + done, step, RegionUse.Writing, cancellationToken);
            CopyIn(offset + done, source.Span.Slice(done, step));
            Release(offset + done, step, RegionUse.Writing);
            done += step;
        }
    }

    /// <summary>Brings a range ahead of its use, as far as the resident limit allows.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the region.</exception>
    /// <exception cref="BackendException">Something cannot be brought.</exception>
    public async Task PrefetchAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        Enter();
        try
        {
            await _service.PrefetchAsync(offset, length, cancellationToken);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Returns once everything that was written before is durable at the remote.</summary>
    /// <exception cref="BackendException">It is not; what could not be saved is tried again.</exception>
    public async Task FlushAsync(CancellationToken cancellationToken = default)
    {
        await SaveAsync(cancellationToken);
        long saved = _service.Counters.SavedBytes;
        await _backend.FlushAsync(cancellationToken);
        Volatile.Write(ref _flushedBytes, saved);
    }

    internal void Release(MemoryView view) => Release(view.Offset, view.Length, Use);

    private RegionUse Use => IsReadOnly ? RegionUse.Reading : RegionUse.Writing;

    private async Task SaveAsync(CancellationToken cancellationToken)
    {
        Enter();
        try
        {
            if (!IsReadOnly)
                await _service.SaveAsync(cancellationToken);
        }
        finally
        {
            Leave();
        }
    }

    private unsafe MemoryView View(long offset, int length) => new(this, (byte*)_memory.Address + offset, offset, length);

    private int StepFrom(long offset, int length)
    {
        long step = _service.BatchLength;
        return (int)Math.Min(length, step - (offset & (step - 1)));
    }

    private void CheckWrite(long offset, long length)
    {
        BackendRange.Check(Length, offset, length);
        if (IsReadOnly)
            throw new BackendException(BackendError.ReadOnly, "The region is for reading only.");
    }

    /// <summary>Writes what it covers of whole absent chunks, without reading them; how many bytes that were.</summary>
    private int PutAbsent(long offset, ReadOnlySpan<byte> source)
    {
        Enter();
        try
        {
            var claiming = _service.ClaimAbsentAsync(offset, source.Length, CancellationToken.None);
            int claimed = claiming.IsCompleted ? claiming.GetAwaiter().GetResult() : claiming.AsTask().GetAwaiter().GetResult();
            return claimed > 0 && _service.TryPut(offset, source[..claimed]) ? claimed : 0;
        }
        finally
        {
            Leave();
        }
    }

    private async ValueTask<int> PutAbsentAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        Enter();
        try
        {
            int claimed = await _service.ClaimAbsentAsync(offset, source.Length, cancellationToken);
            return claimed > 0 && _service.TryPut(offset, source.Span[..claimed]) ? claimed : 0;
        }
        finally
        {
            Leave();
        }
    }

    private void Wait(long offset, int length, RegionUse use)
    {
        var held = HoldAsync(offset, length, use, CancellationToken.None);
        if (held.IsCompleted)
            held.GetAwaiter().GetResult();
        else
            held.AsTask().GetAwaiter().GetResult();
    }

    private ValueTask HoldAsync(long offset, int length, RegionUse use, CancellationToken cancellationToken)
    {
        Enter();
        ValueTask held;
        try
        {
            held = _service.AcquireAsync(offset, length, use, cancellationToken);
        }
        catch
        {
            Leave();
            throw;
        }

        return held.IsCompletedSuccessfully ? held : HeldAsync(held);
    }

    private async ValueTask HeldAsync(ValueTask held)
    {
        try
        {
            await held;
        }
        catch
        {
            Leave();
            throw;
        }
    }

    private void Release(long offset, int length, RegionUse use)
    {
        _service.Release(offset, length, use);
        Leave();
    }

    private unsafe void CopyOut(long offset, Span<byte> destination)
    {
        fixed (byte* start = destination)
            _memory.CopyOut(offset, start, destination.Length);
    }

    private unsafe void CopyIn(long offset, ReadOnlySpan<byte> source)
    {
        fixed (byte* start = source)
            _memory.CopyIn(offset, start, source.Length);
    }
}
