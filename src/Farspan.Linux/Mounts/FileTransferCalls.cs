using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Mounts;

/// <summary>pread, pwrite and fsync until all is done.</summary>
internal static unsafe class FileTransferCalls
{
    public static void Read(SafeDescriptor file, string path, long offset, Span<byte> buffer)
    {
        int done = 0;
        while (done < buffer.Length)
        {
            nint count;
            fixed (byte* start = buffer[done..])
                count = Libc.ReadAt(file, start, (nuint)(buffer.Length - done), offset + done);
            if (count > 0)
                done += (int)count;
            else if (count == 0)
                throw new BackendException(BackendError.InputOutput, $"reading {buffer.Length} bytes at {offset} of {path}: it ends after {done} of them.");
            else if (LinuxError.Last != Errno.EINTR)
                throw LinuxError.Exception(LinuxError.Last, $"reading {buffer.Length} bytes at {offset} of {path}");
        }
    }

    public static void Write(SafeDescriptor file, string path, long offset, ReadOnlySpan<byte> buffer)
    {
        int done = 0;
        while (done < buffer.Length)
        {
            nint count;
            fixed (byte* start = buffer[done..])
                count = Libc.WriteAt(file, start, (nuint)(buffer.Length - done), offset + done);
            if (count > 0)
                done += (int)count;
            else if (count == 0 || LinuxError.Last != Errno.EINTR)
                throw LinuxError.Exception(LinuxError.Last, $"writing {buffer.Length} bytes at {offset} of {path}");
        }
    }

    public static void Sync(SafeDescriptor file, string path)
    {
        while (Libc.Sync(file) != 0)
        {
            if (LinuxError.Last != Errno.EINTR)
                throw LinuxError.Exception(LinuxError.Last, $"flushing {path}");
        }
    }
}
