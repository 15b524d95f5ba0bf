using System.Buffers;
using System.IO.MemoryMappedFiles;
using System.Numerics;
using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;

namespace Farspan.Backends;

/// <summary>
/// One piece of a <see cref="MemoryBackend"/>: native pages, a bit for each page that was written, and a count of who uses it. Whoever touches
/// the pages is a holder. The pages go when the block's slot was emptied and no holder is left; what came too late sees that and looks again.
/// </summary>
/// <remarks>A page whose bit is clear is all zero: a writer sets the bit after its bytes, a clearer clears the bit before its zeroes.</remarks>
internal sealed unsafe class MemoryBlock : MemoryManager<byte>, ILoan
{
    private const int PageShift = 12;
    private const int PageLength = 1 << PageShift;

    /// <summary>What the slot counts for: more than all holders there can be, so that they are told apart from it.</summary>
    private const int Linked = 1 << 24;

    /// <summary>Far enough below zero that no number of late comers brings the count above it.</summary>
    private const int Gone = int.MinValue / 2;

    private readonly MemoryBackend _owner;
    private readonly SafeMemoryMappedViewHandle _view;
    private readonly byte* _bytes;
    private readonly ulong[] _written;

    /// <summary><see cref="Linked"/> for the slot and one for each holder; negative while one has the block alone, and for good once it is gone.</summary>
    private int _holders = Linked;
    private volatile bool _mayBeEmpty;

    private MemoryBlock(MemoryBackend owner, int index, int length, SafeMemoryMappedViewHandle view)
    {
        _owner = owner;
        Index = index;
        Length = length;
        _view = view;
        _bytes = (byte*)view.DangerousGetHandle();
        _written = new ulong[(length + (PageLength * 64) - 1) / (PageLength * 64)];
    }

    /// <summary>Its place in the owner's table.</summary>
    public int Index { get; }

    /// <summary>The number of bytes.</summary>
    public int Length { get; }

    /// <summary>Takes fresh pages from the system; none is touched.</summary>
    /// <exception cref="BackendException">There is no memory left.</exception>
    public static MemoryBlock Create(MemoryBackend owner, int index, int length)
    {
        try
        {
            // Not malloc: once a block was freed, it keeps blocks of this size for itself and the system never gets them back.
            using var pages = MemoryMappedFile.CreateNew(mapName: null, length);
            return new MemoryBlock(owner, index, length, pages.CreateViewAccessor(0, length).SafeMemoryMappedViewHandle);
        }
        catch (Exception error) when (error is IOException or OutOfMemoryException)
        {
            throw new BackendException(BackendError.NoMemory, $"No memory for another {length} bytes of a memory backend: {error.Message}", error);
        }
    }

    /// <summary>Becomes a holder; false when the block is gone or about to go, and its slot has to be looked at again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryHold()
    {
        if (Interlocked.Increment(ref _holders) > 0)
            return true;
        Interlocked.Decrement(ref _holders);
        return false;
    }

    /// <summary>Ends a hold.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Release()
    {
        int left = Interlocked.Decrement(ref _holders);
        if (left == 0 || (left == Linked && _mayBeEmpty))
            LastOut(left);
    }

    /// <summary>The slot was emptied: the pages go with the last holder.</summary>
    public void Unlink()
    {
        if (Interlocked.Add(ref _holders, -Linked) == 0)
            LastOut(left: 0);
    }

    /// <summary>What a loan for writing returns with: which bytes were written. A loan for reading returns with 0.</summary>
    public static long WriteTicket(int at, int length) => ((long)length << 32) | (uint)at;

    /// <inheritdoc/>
    void ILoan.Return(long ticket)
    {
        if (ticket != 0)
            SetWritten((int)(ticket & int.MaxValue), (int)(ticket >> 32));
        Release();
    }

    /// <summary>Gives the pages up, whatever they hold, unless somebody uses them.</summary>
    public bool TryDrop() => TryDrop(onlyIfEmpty: false);

    /// <summary>Copies bytes out. The caller holds.</summary>
    public void Read(int at, Span<byte> destination)
    {
        if (IsWritten(at, destination.Length))
        {
            Bytes(at, destination.Length).CopyTo(destination);
            return;
        }

        while (!destination.IsEmpty)
        {
            int length = RunLength(at, destination.Length, out bool written);
            if (written)
                Bytes(at, length).CopyTo(destination);
            else
                destination[..length].Clear();
            at += length;
            destination = destination[length..];
        }
    }

    /// <summary>Copies bytes in. The caller holds.</summary>
    public void Write(int at, ReadOnlySpan<byte> source)
    {
        source.CopyTo(Bytes(at, source.Length));
        SetWritten(at, source.Length);
    }

    /// <summary>Makes a range zero. The caller holds.</summary>
    /// <param name="at">First byte.</param>
    /// <param name="length">Number of bytes.</param>
    /// <param name="wholePagesOnly">Leave what covers a page in part as it is.</param>
    /// <param name="keep">The range counts as written afterwards.</param>
    public void Zero(int at, int length, bool wholePagesOnly, bool keep)
    {
        int end = at + length;
        int first = at;
        while (first < end)
        {
            int run = RunLength(first, end - first, out bool written);
            if (written)
                ZeroWritten(first, first + run, wholePagesOnly, keep);
            first += run;
        }

        if (keep)
            SetWritten(at, length);
        else
            _mayBeEmpty = true;
    }

    /// <summary>The number of bytes from <paramref name="at"/> on, at most <paramref name="limit"/>, that were all written or all never.</summary>
    public int RunLength(int at, int limit, out bool written)
    {
        int page = at >> PageShift;
        int end = (at + limit + PageLength - 1) >> PageShift;

        // One look at the first word: a neighbour that sets the first bit between two looks would leave a run of no length.
        ulong word = Volatile.Read(ref _written[page >> 6]);
        ulong flip = (word >> (page & 63) & 1) == 0 ? 0 : ulong.MaxValue;
        written = flip != 0;
        while (page < end)
        {
            // Bits that differ from the first one are ones now.
            ulong differing = (word ^ flip) >> (page & 63);
            int same = BitOperations.TrailingZeroCount(differing);
            if (same < 64 - (page & 63))
            {
                page += same;
                break;
            }

            page = (page | 63) + 1;
            if (page < end)
                word = Volatile.Read(ref _written[page >> 6]);
        }

        return (int)Math.Min(limit, ((long)page << PageShift) - at);
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _holders) <= 0, typeof(LentMemory));
        return new Span<byte>(_bytes, Length);
    }

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)Length, nameof(elementIndex));
        return new MemoryHandle(_bytes + elementIndex);
    }

    /// <inheritdoc/>
    public override void Unpin() { }

    /// <summary>A part of the block to open for writing; its pages count as written when it is returned.</summary>
    public Memory<byte> SliceToWrite(int at, int length) => CreateMemory(at, length);

    /// <summary>A part of the block to lend.</summary>
    public ReadOnlyMemory<byte> Slice(int at, int length) => CreateMemory(at, length);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _view.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Span<byte> Bytes(int at, int length) => new(_bytes + at, length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsWritten(int at, int length)
    {
        int first = at >> PageShift;
        int last = (at + length - 1) >> PageShift;
        if (first >> 6 == last >> 6)
        {
            ulong mask = Mask(first, last);
            return (Volatile.Read(ref _written[first >> 6]) & mask) == mask;
        }

        return RunLength(at, length, out bool written) == length && written;
    }

    private void SetWritten(int at, int length)
    {
        int first = at >> PageShift;
        int last = (at + length - 1) >> PageShift;

        // The bytes before the look at the bits: else a clearer could miss the bytes while we miss its clearing.
        Interlocked.MemoryBarrier();
        for (int word = first >> 6; word <= last >> 6; word++)
        {
            ulong mask = Mask(Math.Max(first, word << 6), Math.Min(last, (word << 6) + 63));
            if ((Volatile.Read(ref _written[word]) & mask) != mask)
                Interlocked.Or(ref _written[word], mask);
        }
    }

    private void ZeroWritten(int from, int end, bool wholePagesOnly, bool keep)
    {
        int firstWhole = (from + PageLength - 1) >> PageShift;
        int endWhole = end == Length ? (end + PageLength - 1) >> PageShift : end >> PageShift;
        if (wholePagesOnly)
        {
            from = Math.Min(end, firstWhole << PageShift);
            end = Math.Max(from, Math.Min(end, endWhole << PageShift));
        }

        if (!keep)
        {
            for (int page = firstWhole; page < endWhole;)
            {
                int last = Math.Min(endWhole - 1, page | 63);
                Interlocked.And(ref _written[page >> 6], ~Mask(page, last));
                page = last + 1;
            }
        }

        Bytes(from, end - from).Clear();
    }

    private void LastOut(int left)
    {
        if (left == Linked)
            TryDrop(onlyIfEmpty: true);
        else if (Interlocked.CompareExchange(ref _holders, Gone, 0) == 0)
            GiveBack();
    }

    private bool TryDrop(bool onlyIfEmpty)
    {
        if (Interlocked.CompareExchange(ref _holders, Gone, Linked) != Linked)
            return false;
        _mayBeEmpty = false;
        if (onlyIfEmpty && _written.AsSpan().ContainsAnyExcept(0UL))
        {
            if (Interlocked.Add(ref _holders, Linked - Gone) == 0)
                LastOut(left: 0);
            return false;
        }

        _owner.Forget(this);
        GiveBack();
        return true;
    }

    private void GiveBack()
    {
        _owner.AddAllocated(-Length);
        _view.Dispose();
    }

    /// <summary>The bits of pages <paramref name="first"/> to <paramref name="last"/>, which share a word.</summary>
    private static ulong Mask(int first, int last) => (ulong.MaxValue >> (63 - (last - first))) << (first & 63);
}
