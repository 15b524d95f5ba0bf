using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// The memory of a region, as its service works on it: what is absent is filled, what was written is found, what is to go is
/// dropped. Offsets count from the region's first byte; everything is whole pages.
/// </summary>
/// <remarks>
/// Nothing here is ever touched where a touch could fault: bytes go in by requests to the descriptor, and come out by
/// <see cref="CopyOut"/>. Thread-safe; the service sees to it that a range is not filled, taken and dropped at one time.
/// </remarks>
internal abstract class RegionMemory : IDisposable
{
    private readonly uint _fillMode;
    private ulong _address;

    /// <param name="faults">Tells of the memory's faults; belongs to this from now on.</param>
    /// <param name="address">Where the memory is, in its process.</param>
    /// <param name="length">Bytes; whole pages.</param>
    /// <param name="isProtectedWhenFilled">Whether pages are filled so that the first write of each is noticed.</param>
    protected RegionMemory(UserfaultDescriptor faults, ulong address, long length, bool isProtectedWhenFilled)
    {
        Faults = faults;
        _address = address;
        Length = length;
        _fillMode = isProtectedWhenFilled ? Libc.UFFDIO_COPY_MODE_WP : 0;
    }

    public UserfaultDescriptor Faults { get; }

    /// <summary>Bytes; whole pages.</summary>
    public long Length { get; }

    /// <summary>Where the memory is, in its process.</summary>
    public ulong Address => Volatile.Read(ref _address);

    /// <summary>Whether touches of what cannot be brought end in SIGBUS; otherwise they wait until it can be.</summary>
    public bool CanPoison => Faults.Features.HasFlag(UserfaultFeatures.POISON);

    /// <summary>
    /// Whether <see cref="ListWritten"/> knows what was written. Otherwise the service takes whatever it handed out for writing as written.
    /// </summary>
    public abstract bool TracksWrites { get; }

    /// <summary>Where in the region an address is.</summary>
    public bool TryLocate(ulong address, out long offset)
    {
        offset = (long)(address - Address);
        return (ulong)offset < (ulong)Length;
    }

    /// <summary>The process has moved all of the memory elsewhere.</summary>
    public virtual void MoveTo(ulong address) => Volatile.Write(ref _address, address);

    /// <summary>Makes absent pages present with these bytes, and wakes who waits for them.</summary>
    public unsafe FillOutcome Fill(long offset, byte* source, long length)
    {
        for (long at = 0; at < length;)
        {
            var error = Faults.Copy(Address + (ulong)(offset + at), source + at, (ulong)(length - at), _fillMode, out long done);
            at += done;
            if (GoesOn(error, offset, ref at, done) is { } outcome)
                return outcome;
        }

        return FillOutcome.Done;
    }

    /// <summary>Makes absent pages present with bytes that count as written, and wakes who waits for them. Where a page was present it stops there.</summary>
    public unsafe FillOutcome FillWritten(long offset, byte* source, long length)
    {
        for (long at = 0; at < length;)
        {
            var error = Faults.Copy(Address + (ulong)(offset + at), source + at, (ulong)(length - at), 0, out long done);
            at += done;
            if (error == Errno.EEXIST)
                return FillOutcome.TryAgain;
            if (GoesOn(error, offset, ref at, done) is { } outcome)
                return outcome;
        }

        return FillOutcome.Done;
    }

    /// <summary>Whether <see cref="MoveIn"/> can be tried.</summary>
    public virtual bool CanMoveIn => false;

    /// <summary>
    /// Makes absent pages present by a huge page that goes over to the region, and wakes who waits for them. A write of somebody who holds none of
    /// them may pass unnoticed meanwhile.
    /// </summary>
    public virtual Errno MoveIn(long offset, HugePage page) => Errno.EINVAL;

    /// <summary>Makes absent pages zero, without memory where that can be, and wakes who waits for them.</summary>
    public virtual FillOutcome FillZero(long offset, long length)
    {
        for (long at = 0; at < length;)
        {
            var error = Faults.ZeroPages(Address + (ulong)(offset + at), (ulong)(length - at), 0, out long done);
            at += done;
            if (GoesOn(error, offset, ref at, done) is { } outcome)
                return outcome;
        }

        return FillOutcome.Done;
    }

    /// <summary>Has every touch of absent pages end in SIGBUS, and wakes who waits for them. <see cref="Drop"/> ends that.</summary>
    public virtual FillOutcome Poison(long offset, long length)
    {
        for (long at = 0; at < length;)
        {
            var error = Faults.Poison(Address + (ulong)(offset + at), (ulong)(length - at), 0, out long done);
            at += done;
            if (GoesOn(error, offset, ref at, done) is { } outcome)
                return outcome;
        }

        return FillOutcome.Done;
    }

    /// <summary>Has who waits for pages look again.</summary>
    public void Wake(long offset, long length)
    {
        try
        {
            _ = Faults.Wake(Address + (ulong)offset, (ulong)length);
        }
        catch (ObjectDisposedException)
        {
            // A fill that ended after the region: nobody waits any more.
        }
    }

    /// <summary>Whether a page is present, as far as can be known: a fault that was told of it is over then.</summary>
    public abstract bool IsHere(long offset);

    /// <summary>
    /// Answers a write to a protected page: it counts as written from now on, and may be written; so may be pages after it, before
    /// <paramref name="end"/>. Never called where the kernel notes writes by itself.
    /// </summary>
    public abstract void AllowWrites(long offset, long end);

    /// <summary>Lists what was written since it was taken, and changes nothing.</summary>
    /// <param name="offset">Where to begin.</param>
    /// <param name="length">How far to look.</param>
    /// <param name="written">Is given the spans, from the first to the last.</param>
    /// <param name="end">How far it came: the end of the range, unless there were more spans than room.</param>
    /// <returns>The number of spans.</returns>
    public abstract int ListWritten(long offset, long length, Span<PageSpan> written, out long end);

    /// <summary>As <see cref="ListWritten"/>, and in the same step begins anew: what is written from now on is found the next time.</summary>
    public abstract int TakeWritten(long offset, long length, Span<PageSpan> written, out long end);

    /// <summary>Copies pages that are present.</summary>
    public abstract unsafe void CopyOut(long offset, byte* destination, long length);

    /// <summary>Drops pages unless they were written since that was taken: they are absent then. Not while anybody may use them.</summary>
    public abstract bool TryDrop(long offset, long length);

    /// <summary>Drops pages whatever they hold, poison too.</summary>
    public abstract void Drop(long offset, long length);

    /// <summary>Gives the memory up, while its faults are still read. Threads that still touch what is absent must not see zeroes afterwards.</summary>
    public abstract void GiveUp();

    /// <summary>Closes the descriptor, once nothing reads it any more; after <see cref="GiveUp"/>.</summary>
    public virtual void Dispose()
    {
        GiveUp();
        Faults.Dispose();
    }

    private FillOutcome? GoesOn(Errno error, long offset, ref long at, long done)
    {
        switch (error)
        {
            case Errno.Ok:
                return null;
            case Errno.EEXIST:
                // Somebody may have begun to wait just before the page came by another way.
                Wake(offset + at, Environment.SystemPageSize);
                at += Environment.SystemPageSize;
                return null;
            case Errno.EAGAIN:
                return done > 0 ? null : FillOutcome.TryAgain;
            case Errno.ENOENT or Errno.ESRCH or Errno.EINVAL or Errno.EFAULT:
                return FillOutcome.Gone;
            case Errno.ENOMEM:
                return FillOutcome.NoMemory;
            default:
                throw LinuxError.Exception(error, $"making pages present at {offset + at} of a region");
        }
    }
}
