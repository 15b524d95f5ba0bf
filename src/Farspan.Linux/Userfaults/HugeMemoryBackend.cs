using System.Runtime.InteropServices;
using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// Bytes in memory that the system provides by huge pages, where it has some: writing a byte the first time then costs one fault in 2 MiB, and not one in
/// 4 KiB. For what is filled from the first byte on; where bytes lie scattered, most of each huge page would be for nothing. Thread-safe.
/// </summary>
internal sealed unsafe class HugeMemoryBackend : SafeHandle, IBackend
{
    private readonly nuint _mapped;

    private HugeMemoryBackend(nint mapping, nuint mapped, long length)
        : base(invalidHandleValue: -1, ownsHandle: true)
    {
        SetHandle(mapping);
        _mapped = mapped;
        Start = (byte*)((mapping + HugePage.Length - 1) & -HugePage.Length);
        Length = length;
    }

    /// <summary>The first byte, where a huge page begins; to be used only before the end.</summary>
    public byte* Start { get; }

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public bool IsReadOnly => false;

    /// <inheritdoc/>
    public override bool IsInvalid => handle == -1;

    /// <summary>Takes the place for so many bytes; what is never written takes no memory.</summary>
    /// <exception cref="BackendException">This process has no such place.</exception>
    public static HugeMemoryBackend Create(long length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, MemoryBackend.MaximumLength);
        nuint mapped = (nuint)length + HugePage.Length;
        nint mapping = Libc.Map(0, mapped, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE, -1, 0);
        if (mapping == -1)
            throw LinuxError.Exception(LinuxError.Last, $"mapping {length} bytes of memory");

        // Where it is not heeded there are small pages.
        _ = Libc.Advise(mapping, mapped, Libc.MADV_HUGEPAGE);
        return new HugeMemoryBackend(mapping, mapped, length);
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        Enter(offset, buffer.Length);
        new ReadOnlySpan<byte>(Start + offset, buffer.Length).CopyTo(buffer.Span);
        DangerousRelease();
        return default;
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        Enter(offset, buffer.Length);
        buffer.Span.CopyTo(new Span<byte>(Start + offset, buffer.Length));
        DangerousRelease();
        return default;
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        ObjectDisposedException.ThrowIf(IsClosed, this);
        return default;
    }

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => null;

    /// <summary>Gives the memory back, once nobody uses it.</summary>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return default;
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => Libc.Unmap(handle, _mapped) == 0;

    /// <summary>Checks a range, and keeps the memory until the release.</summary>
    private void Enter(long offset, int length)
    {
        ObjectDisposedException.ThrowIf(IsClosed, this);
        BackendRange.Check(Length, offset, length);
        bool isHeld = false;
        DangerousAddRef(ref isHeld);
    }
}
