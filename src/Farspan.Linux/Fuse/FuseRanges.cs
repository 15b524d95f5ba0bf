using Farspan.Backends;
using Farspan.Linux.Fuse.Protocol;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>fallocate, SEEK_DATA and SEEK_HOLE in terms of a backend's powers. Thread-safe.</summary>
internal sealed class FuseRanges(IBackend backend)
{
    private const int ExtentsAtATime = 256;

    private readonly IZero? _zero = backend.GetCapability<IZero>();
    private readonly IExtentSource? _extents = backend.GetCapability<IExtentSource>();

    /// <summary>Starts what fallocate asks for.</summary>
    /// <remarks>
    /// A punched hole has to read as zero, which a trim does not promise: only <see cref="IZero"/> serves it. Without that power the answer is
    /// EOPNOTSUPP, and callers write zeroes themselves or go without.
    /// </remarks>
    public Errno TryAllocate(in FuseFallocateIn input, CancellationToken cancellationToken, out ValueTask running)
    {
        running = ValueTask.CompletedTask;
        const uint known = FuseProtocol.FALLOC_FL_KEEP_SIZE | FuseProtocol.FALLOC_FL_PUNCH_HOLE | FuseProtocol.FALLOC_FL_ZERO_RANGE;
        if ((input.mode & ~known) != 0)
            return Errno.EOPNOTSUPP;
        ulong size = (ulong)backend.Length;
        bool isPunch = (input.mode & FuseProtocol.FALLOC_FL_PUNCH_HOLE) != 0;
        if (!isPunch && (input.offset > size || input.length > size - input.offset))
            return Errno.ENOSPC;
        if (!isPunch && (input.mode & FuseProtocol.FALLOC_FL_ZERO_RANGE) == 0)
            return Errno.Ok;
        if (_zero is null)
            return Errno.EOPNOTSUPP;
        if (input.offset >= size)
            return Errno.Ok;
        long length = (long)Math.Min(input.length, size - input.offset);
        running = _zero.ZeroAsync((long)input.offset, length, isPunch ? ZeroMode.None : ZeroMode.KeepAllocated, cancellationToken);
        return Errno.Ok;
    }

    /// <summary>
    /// Sets <see cref="FuseRequest.Result"/> to the first data, or the first hole, at or after <paramref name="offset"/>. The end counts as a
    /// hole; -1 stands for no data.
    /// </summary>
    public async ValueTask SeekAsync(FuseRequest request, long offset, bool wantsData)
        => request.Result = await FindAsync(offset, wantsData, request.Cancellation);

    private async ValueTask<long> FindAsync(long offset, bool wantsData, CancellationToken cancellationToken)
    {
        if (_extents is null)
            return wantsData ? offset : backend.Length;
        var found = new List<Extent>();
        while (offset < backend.Length)
        {
            found.Clear();
            await _extents.ListExtentsAsync(offset, backend.Length - offset, ExtentsAtATime, found, cancellationToken);
            if (found.Count == 0 || found[0].Offset != offset)
                throw new BackendException(BackendError.Protocol, $"The backend listed no extent at {offset}.");
            foreach (var extent in found)
            {
                // Only what reads as zero may be passed over as a hole.
                bool isHole = (extent.Kind & ExtentKind.Zero) != 0;
                if (isHole != wantsData)
                    return extent.Offset;
                offset = extent.Offset + extent.Length;
            }
        }

        return wantsData ? -1 : backend.Length;
    }
}
