using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Files;

/// <summary>Data and holes as the file system tells them.</summary>
internal static class FileExtents
{
    /// <summary>See <see cref="IExtentSource.ListExtentsAsync"/>.</summary>
    public static void List(SafeDescriptor file, string path, long offset, long length, int limit, ICollection<Extent> extents)
    {
        long end = offset + length;
        var run = new Extent(offset, 0, ExtentKind.Data);
        while (offset < end)
        {
            var next = Next(file, path, offset, end);
            if (run.Length > 0 && next.Kind != run.Kind)
            {
                extents.Add(run);
                if (--limit == 0)
                    return;
                run = next;
            }
            else
            {
                // Equal neighbours come where holes are made or filled meanwhile.
                run = new Extent(run.Offset, run.Length + next.Length, next.Kind);
            }

            offset += next.Length;
        }

        extents.Add(run);
    }

    private static Extent Next(SafeDescriptor file, string path, long offset, long end)
    {
        long data = Math.Min(FileCalls.Seek(file, path, offset, Libc.SEEK_DATA) ?? end, end);
        if (data > offset)
            return new Extent(offset, data - offset, ExtentKind.Hole | ExtentKind.Zero);

        // Where a hole was made between the two calls, what was data a moment ago is told as data, a byte at least.
        long hole = Math.Min(FileCalls.Seek(file, path, offset, Libc.SEEK_HOLE) ?? end, end);
        return new Extent(offset, Math.Max(hole, offset + 1) - offset, ExtentKind.Data);
    }
}
