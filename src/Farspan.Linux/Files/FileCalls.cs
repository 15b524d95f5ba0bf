using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Files;

/// <summary>The calls on one open file: here, and only here, a call is made again after EINTR and goes on after a short count.</summary>
internal static unsafe class FileCalls
{
    /// <summary>Reads until <paramref name="count"/> bytes are there.</summary>
    /// <exception cref="BackendException">The call failed, or the file ends before.</exception>
    public static void Read(SafeDescriptor file, string path, byte* buffer, long count, long offset)
    {
        while (count > 0)
        {
            nint got = Libc.ReadAt(file, buffer, (nuint)count, offset);
            if (got < 0)
            {
                var error = LinuxError.Last;
                if (error == Errno.EINTR)
                    continue;
                throw LinuxError.Exception(error, $"pread of {count} bytes at {offset} of {path}");
            }

            if (got == 0)
                throw Shortened(path, offset);
            buffer += got;
            offset += got;
            count -= got;
        }
    }

    /// <summary>Writes until <paramref name="count"/> bytes are written.</summary>
    /// <exception cref="BackendException">The call failed.</exception>
    public static void Write(SafeDescriptor file, string path, byte* buffer, long count, long offset)
    {
        while (count > 0)
        {
            nint put = Libc.WriteAt(file, buffer, (nuint)count, offset);
            if (put < 0)
            {
                var error = LinuxError.Last;
                if (error == Errno.EINTR)
                    continue;
                throw LinuxError.Exception(error, $"pwrite of {count} bytes at {offset} of {path}");
            }

            if (put == 0)
                throw new BackendException(BackendError.InputOutput, $"pwrite of {count} bytes at {offset} of {path} wrote nothing.");
            buffer += put;
            offset += put;
            count -= put;
        }
    }

    /// <summary>Reads what is in the page cache: the count, from 0 on, or a negative number where this file cannot be asked so.</summary>
    /// <exception cref="BackendException">The call failed, or the file ends before.</exception>
    public static nint TryReadCached(SafeDescriptor file, string path, byte* buffer, long count, long offset)
    {
        var vector = new IoVector { Start = buffer, Length = (nuint)count };
        nint got = Libc.ReadVectorAt(file, &vector, 1, offset, Libc.RWF_NOWAIT);
        if (got > 0)
            return got;
        if (got == 0)
            throw Shortened(path, offset);
        return LinuxError.Last switch
        {
            Errno.EAGAIN or Errno.EINTR => 0,
            Errno.EOPNOTSUPP or Errno.EINVAL or Errno.ENOSYS => -1,
            var error => throw LinuxError.Exception(error, $"preadv2 of {count} bytes at {offset} of {path}"),
        };
    }

    /// <summary>Writes what the page cache takes at once: the count, from 0 on, or a negative number where this file cannot be asked so.</summary>
    /// <exception cref="BackendException">The call failed.</exception>
    public static nint TryWriteCached(SafeDescriptor file, string path, byte* buffer, long count, long offset)
    {
        var vector = new IoVector { Start = buffer, Length = (nuint)count };
        nint put = Libc.WriteVectorAt(file, &vector, 1, offset, Libc.RWF_NOWAIT);
        if (put >= 0)
            return put;
        return LinuxError.Last switch
        {
            Errno.EAGAIN or Errno.EINTR => 0,
            Errno.EOPNOTSUPP or Errno.EINVAL or Errno.ENOSYS => -1,
            var error => throw LinuxError.Exception(error, $"pwritev2 of {count} bytes at {offset} of {path}"),
        };
    }

    /// <summary>fallocate; false where the file system does not offer <paramref name="mode"/>.</summary>
    /// <exception cref="BackendException">It failed otherwise.</exception>
    public static bool TryAllocate(SafeDescriptor file, string path, int mode, long offset, long length)
    {
        while (Libc.Allocate(file, mode, offset, length) != 0)
        {
            switch (LinuxError.Last)
            {
                case Errno.EINTR:
                    continue;
                case Errno.EOPNOTSUPP or Errno.ENOSYS or Errno.ENODEV:
                    return false;
                case var error:
                    throw LinuxError.Exception(error, $"fallocate (mode {mode:x}) of {length} bytes at {offset} of {path}");
            }
        }

        return true;
    }

    /// <summary>lseek by SEEK_DATA or SEEK_HOLE; null where there is no such byte. The position that it moves is used by nothing.</summary>
    /// <exception cref="BackendException">It failed otherwise.</exception>
    public static long? Seek(SafeDescriptor file, string path, long offset, int whence)
    {
        long found = Libc.Seek(file, offset, whence);
        if (found >= 0)
            return found;
        var error = LinuxError.Last;
        return error == Errno.ENXIO
            ? null
            : throw LinuxError.Exception(error, $"lseek ({(whence == Libc.SEEK_DATA ? "SEEK_DATA" : "SEEK_HOLE")}) from {offset} in {path}");
    }

    /// <summary>Makes what was written durable.</summary>
    /// <exception cref="BackendException">It is not.</exception>
    public static void SyncData(SafeDescriptor file, string path)
    {
        while (Libc.SyncData(file) != 0)
        {
            var error = LinuxError.Last;
            if (error != Errno.EINTR)
                throw LinuxError.Exception(error, $"fdatasync of {path}");
        }
    }

    /// <summary>Makes a file, or the names in a directory, durable.</summary>
    /// <exception cref="BackendException">It is not.</exception>
    public static void Sync(SafeDescriptor file, string path)
    {
        while (Libc.Sync(file) != 0)
        {
            var error = LinuxError.Last;
            if (error != Errno.EINTR)
                throw LinuxError.Exception(error, $"fsync of {path}");
        }
    }

    private static BackendException Shortened(string path, long offset)
        => new(BackendError.InputOutput, $"{path} ends at {offset}: it was shortened while it was open.");
}
