using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Files;

/// <summary>Gives up and zeroes ranges of a file, by what its file system or device offers, from the cheapest to writing zeroes.</summary>
/// <remarks>
/// Block devices are trimmed by punching holes, not by BLKDISCARD: after a discard a device may return anything, and a trimmed range has to
/// read as its old bytes or zeroes. All members may be called from any thread; they wait for the disk.
/// </remarks>
internal sealed class FileSpace(SafeDescriptor file, FileFacts facts, AlignedBuffers buffers)
{
    private const int Punch = Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE;
    private const int ZeroRange = Libc.FALLOC_FL_ZERO_RANGE | Libc.FALLOC_FL_KEEP_SIZE;
    private const int Reserve = Libc.FALLOC_FL_KEEP_SIZE;
    private volatile bool _canPunch = facts.CanPunch;
    private volatile bool _canZeroRange = true;

    /// <summary>Makes a hole of what of the range can be one; nothing where there are no holes.</summary>
    public void Trim(long offset, long length)
    {
        var (from, end) = Allocatable(offset, length);
        if (from < end)
            TryPunch(from, end - from);
    }

    /// <summary>Makes a range read as zero.</summary>
    /// <exception cref="BackendException">It failed, or would take as long as writing zeroes and <see cref="ZeroMode.FastOnly"/> is given.</exception>
    public void Zero(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        bool keep = mode.HasFlag(ZeroMode.KeepAllocated);
        var (from, end) = Allocatable(offset, length);
        if (mode.HasFlag(ZeroMode.FastOnly))
        {
            if (end - from < length || !TryFast(from, length, keep))
            {
                throw new BackendException(
                    BackendError.NotSupported, $"{facts.Path} cannot be zeroed faster than by writing zeroes ({length} bytes at {offset}).");
            }

            return;
        }

        end = Math.Max(from, end);
        if (from >= offset + length)
        {
            Write(offset, length, cancellationToken);
            return;
        }

        Write(offset, from - offset, cancellationToken);
        if (from < end && !TryFast(from, end - from, keep) && !TrySlow(from, end - from, keep))
            Write(from, end - from, cancellationToken);
        Write(end, offset + length - end, cancellationToken);
    }

    // A block device may write the zeroes of a zeroed range one by one, which cannot be told from outside; a hole it makes fast or not at all.
    private bool TryFast(long offset, long length, bool keep)
        => keep ? !facts.IsBlockDevice && TryZeroRange(offset, length) : TryPunch(offset, length);

    private bool TrySlow(long offset, long length, bool keep)
        => TryZeroRange(offset, length)
            || (keep && !facts.IsBlockDevice && TryPunch(offset, length) && FileCalls.TryAllocate(file, facts.Path, Reserve, offset, length));

    private bool TryPunch(long offset, long length)
        => _canPunch && (_canPunch = FileCalls.TryAllocate(file, facts.Path, Punch, offset, length));

    private bool TryZeroRange(long offset, long length)
        => _canZeroRange && (_canZeroRange = FileCalls.TryAllocate(file, facts.Path, ZeroRange, offset, length));

    private unsafe void Write(long offset, long length, CancellationToken cancellationToken)
    {
        if (length <= 0)
            return;
        var zeroes = buffers.Take();
        new Span<byte>(zeroes.Start, zeroes.Length).Clear();
        while (length > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long run = Math.Min(length, zeroes.Length);
            FileCalls.Write(file, facts.Path, zeroes.Start, run, offset);
            offset += run;
            length -= run;
        }

        buffers.Return(zeroes);
    }

    /// <summary>The part of a range that fallocate can be given; empty where the end is not after the start.</summary>
    private (long From, long End) Allocatable(long offset, long length)
    {
        long alignment = facts.AllocationAlignment;
        long end = offset + length;
        return ((offset + alignment - 1) / alignment * alignment, end == facts.Length ? end : end / alignment * alignment);
    }
}
