using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// Memory of another process: a shared mapping of a file of shared memory, which that process sent with its userfault descriptor. Pages come by requests to
/// the descriptor; what was written is read from the file, which this process has as long as it likes, whatever becomes of the other one.
/// </summary>
/// <remarks>
/// <para>The file is never mapped here: its owner may cut it short at any time, and a touch would end this process.</para>
/// <para>The first write of a page waits until it is noted here, so that it is known what was written when the other process has died.</para>
/// </remarks>
internal sealed unsafe class SharedMemory : RegionMemory
{
    private const UserfaultFeatures Tracking = UserfaultFeatures.PAGEFAULT_FLAG_WP | UserfaultFeatures.WP_HUGETLBFS_SHMEM;

    /// <summary>Pages that may be written at most after one fault, where writes follow each other.</summary>
    private const int MostAhead = 16;

    private static readonly byte[] s_zeroes = GC.AllocateArray<byte>(64 << 10, pinned: true);

    private readonly SafeDescriptor _file;
    private readonly ChunkBitmap _written;
    private readonly Lock _gate = new();
    private bool _isGivenUp;

    private SharedMemory(UserfaultDescriptor faults, SafeDescriptor file, ulong address, long length, bool isWritable)
        : base(faults, address, length, isWritable)
    {
        _file = file;
        _written = new ChunkBitmap(length / Page);
    }

    public override bool TracksWrites => true;

    /// <summary>What becomes of it when it is given up.</summary>
    public SharedMemoryEnd End { get; set; }

    private static long Page => Environment.SystemPageSize;

    /// <summary>Takes over what another process sent, and has its faults told. The descriptors stay the caller's where this throws.</summary>
    /// <param name="faults">A userfault descriptor that has agreed on nothing yet.</param>
    /// <param name="file">The file that is mapped there from its first byte on, opened for reading and writing.</param>
    /// <param name="address">Where, in that process.</param>
    /// <param name="length">Bytes; whole pages.</param>
    /// <param name="isWritable">Whether what is written there is to be found.</param>
    /// <exception cref="BackendException">Something about them is not as it has to be; the message says what.</exception>
    public static SharedMemory Adopt(SafeDescriptor faults, SafeDescriptor file, ulong address, long length, bool isWritable)
    {
        CheckFile(file, length);
        var needed = UserfaultFeatures.MISSING_SHMEM | (isWritable ? Tracking : UserfaultFeatures.None);
        var descriptor = UserfaultDescriptor.AdoptNew(faults, needed | UserfaultFeatures.POISON);
        if ((descriptor.Features & needed) != needed)
            throw new BackendException(BackendError.NotSupported, $"This kernel has no {needed & ~descriptor.Features} of userfaults.");
        ulong modes = Libc.UFFDIO_REGISTER_MODE_MISSING | (isWritable ? Libc.UFFDIO_REGISTER_MODE_WP : 0);
        if (descriptor.Register(address, (ulong)length, modes, out _) is var error and not Errno.Ok)
            throw LinuxError.Exception(error, $"UFFDIO_REGISTER of {length} bytes at 0x{address:x} of the client");
        return new SharedMemory(descriptor, file, address, length, isWritable);
    }

    public override bool IsHere(long offset) => Libc.Seek(_file, offset, Libc.SEEK_DATA) == offset;

    public override FillOutcome FillZero(long offset, long length)
    {
        // Not as zero pages: those are not protected when they come, and in a file of shared memory take as much.
        fixed (byte* zeroes = s_zeroes)
        {
            for (long at = 0; at < length; at += s_zeroes.Length)
            {
                if (Fill(offset + at, zeroes, Math.Min(s_zeroes.Length, length - at)) is var outcome and not FillOutcome.Done)
                    return outcome;
            }
        }

        return FillOutcome.Done;
    }

    public override void AllowWrites(long offset, long end)
    {
        // Noting and allowing is one step, so that no save comes between, nor a drop.
        lock (_gate)
        {
            long length = IsHere(offset) ? LengthAhead(offset, end) : 0;
            if (length > 0)
            {
                _written.Set(offset / Page, length / Page);
                _ = Faults.WriteProtect(Address + (ulong)offset, (ulong)length, 0);
                return;
            }
        }

        // It was dropped meanwhile: the writer meets an absent page.
        Wake(offset, Page);
    }

    public override int ListWritten(long offset, long length, Span<PageSpan> written, out long end)
    {
        lock (_gate)
        {
            int count = 0;
            end = offset;
            while (count < written.Length && NextRun(end, offset + length, out var run))
            {
                written[count++] = run;
                end = run.Offset + run.Length;
            }

            if (count < written.Length)
                end = offset + length;
            return count;
        }
    }

    public override int TakeWritten(long offset, long length, Span<PageSpan> written, out long end)
    {
        lock (_gate)
        {
            int count = 0;
            end = offset;
            while (count < written.Length && NextRun(end, offset + length, out var run))
            {
                end = run.Offset + run.Length;
                if (!TryFindData(run.Offset, end, out var data))
                {
                    // Its owner has dropped it: there are zeroes, which nobody wrote.
                    _written.Clear(run.Offset / Page, run.Length / Page);
                    continue;
                }

                end = data.Offset + data.Length;
                _written.Clear(run.Offset / Page, (end - run.Offset) / Page);
                Protect(data);
                written[count++] = data;
            }

            if (count < written.Length)
                end = offset + length;
            return count;
        }
    }

    public override void CopyOut(long offset, byte* destination, long length)
    {
        // A hole reads as zeroes, which nobody wrote.
        if (!TryFindData(offset, offset + length, out var data) || data != new PageSpan(offset, length))
            throw new BackendException(BackendError.NotFound, $"The client has dropped some of the {length} bytes at {offset} of its memory that were to be saved.");
        for (long done = 0; done < length;)
        {
            nint count = Libc.ReadAt(_file, destination + done, (nuint)(length - done), offset + done);
            if (count < 0 && LinuxError.Last == Errno.EINTR)
                continue;
            if (count < 0)
                throw LinuxError.Exception(LinuxError.Last, $"reading {length} bytes at {offset} of a client's memory");
            if (count == 0)
                throw new BackendException(BackendError.NotFound, $"The client has cut its memory short: there is nothing at {offset + done}.");
            done += count;
        }
    }

    public override bool TryDrop(long offset, long length)
    {
        lock (_gate)
        {
            if (_written.Any(offset / Page, length / Page))
                return false;
            Punch(offset, length);
            return true;
        }
    }

    public override void Drop(long offset, long length)
    {
        lock (_gate)
        {
            _written.Clear(offset / Page, length / Page);
            Punch(offset, length);
        }
    }

    /// <summary>
    /// Unless its owner has ended: leaves nothing that could turn into zeroes. Touches of what is absent end in SIGBUS from now on, whatever becomes of the
    /// descriptor; where the kernel has no poison, they wait as long as their process has that.
    /// </summary>
    /// <remarks>The kernel would poison what another descriptor serves at the same address, too.</remarks>
    public override void GiveUp()
    {
        if (Interlocked.Exchange(ref _isGivenUp, true))
            return;
        if (End == SharedMemoryEnd.Undone)
            _ = Faults.Unregister(Address, (ulong)Length);
        if (End == SharedMemoryEnd.HandedBack)
            _ = Faults.WriteProtect(Address, (ulong)Length, 0);
        if (End is SharedMemoryEnd.Sealed or SharedMemoryEnd.HandedBack && CanPoison)
            _ = Poison(0, Length);
    }

    public override FillOutcome Poison(long offset, long length)
    {
        for (long at = offset; at < offset + length;)
        {
            // Past its end there is neither a hole nor data.
            long hole = Libc.Seek(_file, at, Libc.SEEK_HOLE) is var found and >= 0 ? Math.Min(found, offset + length) : at;
            if (hole == offset + length)
                break;
            long data = Libc.Seek(_file, hole, Libc.SEEK_DATA) is var next and >= 0 ? Math.Min(next, offset + length) : offset + length;
            Unmark(hole, data - hole);
            if (base.Poison(hole, data - hole) is var outcome and not FillOutcome.Done)
                return outcome;
            at = data;
        }

        return FillOutcome.Done;
    }

    public override void Dispose()
    {
        base.Dispose();
        _file.Dispose();
    }

    private static void CheckFile(SafeDescriptor file, long length)
    {
        long* words = stackalloc long[32];
        bool isShared = Libc.Fcntl(file.Number, Libc.F_GET_SEALS, 0) >= 0 && Libc.StatFileSystem(file, words) == 0 && words[0] == Libc.TMPFS_MAGIC;
        if (!isShared || Libc.StatX(file, "", Libc.AT_EMPTY_PATH, Libc.STATX_BASIC_STATS, out var status) != 0)
            throw new BackendException(BackendError.Invalid, "The second descriptor is no file of shared memory (memfd_create).");
        if ((Libc.Fcntl(file.Number, Libc.F_GETFL, 0) & Libc.O_ACCMODE) != Libc.O_RDWR)
            throw new BackendException(BackendError.Invalid, "The file of shared memory is not open for reading and writing.");
        if (status.Size < (ulong)length)
            throw new BackendException(BackendError.Invalid, $"The file of shared memory has {status.Size} bytes, and {length} are to be mapped.");
    }

    /// <summary>Pages that may be written from here on: twice as far as writes have come to here one after another.</summary>
    private long LengthAhead(long offset, long end)
    {
        long before = 0;
        while (before < MostAhead - 1 && (before + 1) * Page <= offset && _written[(offset / Page) - before - 1])
            before++;
        long most = Math.Min(end - offset, (before + 1) * Page);
        return TryFindData(offset, offset + most, out var data) ? data.Length : 0;
    }

    private bool NextRun(long offset, long end, out PageSpan run)
    {
        long first = _written.NextSet(offset / Page);
        long last = end / Page;
        run = default;
        if (first < 0 || first >= last)
            return false;
        run = new PageSpan(first * Page, (Math.Min(last, _written.NextClear(first)) - first) * Page);
        return true;
    }

    /// <summary>The first pages of a range that the file has.</summary>
    private bool TryFindData(long offset, long end, out PageSpan data)
    {
        data = default;
        long start = Libc.Seek(_file, offset, Libc.SEEK_DATA);
        if (start < 0 || start >= end)
            return false;
        long hole = Libc.Seek(_file, start, Libc.SEEK_HOLE);
        data = new PageSpan(start, Math.Min(end, hole < 0 ? start + Page : hole) - start);
        return data.Length > 0;
    }

    private void Protect(PageSpan span)
    {
        var error = Faults.WriteProtect(Address + (ulong)span.Offset, (ulong)span.Length, Libc.UFFDIO_WRITEPROTECT_MODE_WP);

        // Where nobody can write any more there is nothing to note; otherwise it is saved again, until it can be noted.
        if (error is not (Errno.Ok or Errno.ESRCH or Errno.ENOENT))
            _written.Set(span.Offset / Page, span.Length / Page);
    }

    private void Punch(long offset, long length)
    {
        while (Libc.Allocate(_file, Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, offset, length) != 0)
        {
            if (LinuxError.Last != Errno.EINTR)
                throw LinuxError.Exception(LinuxError.Last, $"dropping {length} bytes at {offset} of a client's memory");
        }

        Unmark(offset, length);
    }

    // What is left of the protection in empty places would keep poison out.
    private void Unmark(long offset, long length)
        => Faults.WriteProtect(Address + (ulong)offset, (ulong)length, Libc.UFFDIO_WRITEPROTECT_MODE_DONTWAKE);
}
