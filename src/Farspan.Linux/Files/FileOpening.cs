using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Files;

/// <summary>Opens, creates, locks and looks at a file. Whatever fails half-way closes the file again, and leaves nothing that was created here.</summary>
internal static unsafe class FileOpening
{
    private const uint NewFileMode = 0x1B6; // rw for all, less the umask

    /// <summary>Opens a file by open(2).</summary>
    /// <exception cref="BackendException">It cannot be opened.</exception>
    public static SafeDescriptor OpenDescriptor(string path, int flags, uint mode)
    {
        if (TryOpen(path, flags, mode, out var file) is var error && error != Errno.Ok)
            throw LinuxError.Exception(error, $"Opening {path}");
        return file;
    }

    /// <summary>Opens a file, or creates it where the options give a length and it is absent.</summary>
    /// <exception cref="BackendException">See <see cref="LinuxFileBackend.Open"/>.</exception>
    public static (SafeDescriptor File, FileFacts Facts) Open(string path, FileBackendOptions options)
    {
        int flags = options.Direct ? Libc.O_DIRECT : 0;
        int type = TypeOf(path);
        if (type == 0 && options is { Length: { } length, ReadOnly: false } && Create(path, flags, length, options) is { } created)
            return created;

        // On a block device O_EXCL keeps away from what is mounted or otherwise claimed in the kernel, which a lock does not see.
        int exclusive = type == Libc.S_IFBLK && options.Lock ? Libc.O_EXCL : 0;
        var (file, isReadOnly) = OpenExisting(path, flags, exclusive, options);
        try
        {
            Lock(path, file, isReadOnly, options);
            return (file, Inspect(path, file, isReadOnly, options));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Makes the file under another name, at its full length and locked, and only then gives it its own: nobody finds it half made, and a crash
    /// leaves nothing under its name. Null where another made it meanwhile.
    /// </summary>
    private static (SafeDescriptor File, FileFacts Facts)? Create(string path, int flags, long length, FileBackendOptions options)
    {
        string directory = Path.GetDirectoryName(path) is { Length: > 0 } parent ? parent : ".";
        string unfinished = Path.Combine(directory, $".farspan-{Guid.NewGuid():n}.new");
        var error = TryOpen(unfinished, flags | Libc.O_RDWR | Libc.O_CREAT | Libc.O_EXCL, NewFileMode, out var file);
        if (error != Errno.Ok)
            throw CannotOpen(error, path, options);
        string made = unfinished;
        try
        {
            Lock(path, file, isReadOnly: false, options);
            if (Libc.Truncate(file, length) != 0)
                throw LinuxError.Exception(LinuxError.Last, $"Creating {path} with {length} bytes");
            var facts = Inspect(path, file, isReadOnly: false, options);
            FileCalls.Sync(file, path);
            if (TryRename(unfinished, path))
            {
                made = path;
                DirectorySync.Sync(directory);
                return (file, facts);
            }
        }
        catch
        {
            Libc.Unlink(made);
            file.Dispose();
            throw;
        }

        Libc.Unlink(unfinished);
        file.Dispose();
        return null;
    }

    /// <summary>Gives a file another name; false where there is something of that name.</summary>
    private static bool TryRename(string from, string to)
    {
        if (Libc.Rename(Libc.AT_FDCWD, from, Libc.AT_FDCWD, to, Libc.RENAME_NOREPLACE) == 0)
            return true;
        var error = LinuxError.Last;

        // File systems that do not know the flag, such as NFS, know links.
        if (error is Errno.EINVAL or Errno.ENOSYS)
        {
            if (Libc.Link(from, to) == 0)
            {
                Libc.Unlink(from);
                return true;
            }

            error = LinuxError.Last;
        }

        return error == Errno.EEXIST ? false : throw LinuxError.Exception(error, $"Creating {to}");
    }

    /// <summary>The type bits of a path's mode; 0 where nothing is there. What is no file is refused before it is opened: a pipe would block.</summary>
    private static int TypeOf(string path)
    {
        if (Libc.StatX(Libc.AT_FDCWD, path, 0, Libc.STATX_BASIC_STATS, out var status) == 0)
            return CheckType(path, status);
        var error = LinuxError.Last;
        return error == Errno.ENOENT ? 0 : throw LinuxError.Exception(error, $"Opening {path}");
    }

    private static int CheckType(string path, in FileStatus status) => (status.Mode & Libc.S_IFMT) switch
    {
        Libc.S_IFREG => Libc.S_IFREG,
        Libc.S_IFBLK => Libc.S_IFBLK,
        Libc.S_IFDIR => throw new BackendException(BackendError.Invalid, $"{path} is a directory; give a file or a block device."),
        _ => throw new BackendException(BackendError.Invalid, $"{path} is no file and no block device; give one of those."),
    };

    private static (SafeDescriptor File, bool IsReadOnly) OpenExisting(string path, int flags, int exclusive, FileBackendOptions options)
    {
        SafeDescriptor file;
        if (!options.ReadOnly)
        {
            switch (TryOpen(path, flags | Libc.O_RDWR | exclusive, 0, out file))
            {
                case Errno.Ok:
                    return (file, false);
                case Errno.EACCES or Errno.EPERM or Errno.EROFS or Errno.ETXTBSY:
                    break;
                case var error:
                    throw CannotOpen(error, path, options);
            }
        }

        var readError = TryOpen(path, flags | Libc.O_RDONLY, 0, out file);
        return readError == Errno.Ok ? (file, true) : throw CannotOpen(readError, path, options);
    }

    private static FileFacts Inspect(string path, SafeDescriptor file, bool isReadOnly, FileBackendOptions options)
    {
        if (Libc.StatX(file, "", Libc.AT_EMPTY_PATH, Libc.STATX_BASIC_STATS | Libc.STATX_DIOALIGN, out var status) != 0)
            throw LinuxError.Exception(LinuxError.Last, $"statx of {path}");
        bool isBlockDevice = CheckType(path, status) == Libc.S_IFBLK;
        isReadOnly |= isBlockDevice && ControlNumber(file, path, Libc.BLKROGET) != 0;
        long length = isBlockDevice ? ControlNumber(file, path, Libc.BLKGETSIZE64) : (long)status.Size;
        if (length == 0)
            throw new BackendException(BackendError.Invalid, $"{path} is empty and has no bytes to serve; delete it and give size= to create it anew.");
        if (options.Length is { } wanted && wanted != length)
        {
            throw new BackendException(
                BackendError.Invalid, $"{path} has {length} bytes, not the {wanted} asked for; leave size= out to take it as it is.");
        }

        var (alignment, memoryAlignment) = options.Direct ? DirectAlignments(path, file, status) : (0, 0);
        if (alignment > 0 && length % alignment != 0)
        {
            throw new BackendException(
                BackendError.Invalid, $"{path} has {length} bytes, which is no multiple of the {alignment} that direct=on needs here; leave it out.");
        }

        long* words = stackalloc long[32];
        bool isInMemory = Libc.StatFileSystem(file, words) == 0 && words[0] is Libc.TMPFS_MAGIC or Libc.RAMFS_MAGIC;
        return new FileFacts
        {
            Path = path,
            Length = length,
            IsReadOnly = isReadOnly,
            IsBlockDevice = isBlockDevice,
            IsInMemory = isInMemory && !isBlockDevice,
            CanPunch = !isReadOnly && (isBlockDevice || CanPunch(file, path, length)),
            CanSeekHoles = !isBlockDevice && Libc.Seek(file, 0, Libc.SEEK_HOLE) >= 0,
            DirectAlignment = alignment,
            DirectMemoryAlignment = memoryAlignment,
        };
    }

    private static void Lock(string path, SafeDescriptor file, bool isReadOnly, FileBackendOptions options)
    {
        if (!options.Lock)
            return;
        while (Libc.Lock(file, (isReadOnly ? Libc.LOCK_SH : Libc.LOCK_EX) | Libc.LOCK_NB) != 0)
        {
            switch (LinuxError.Last)
            {
                case Errno.EINTR:
                    continue;
                case Errno.EAGAIN:
                    throw new BackendException(
                        BackendError.AccessDenied,
                        isReadOnly
                            ? $"{path} is open for writing elsewhere; close it there, or give lock=off to read what is being changed."
                            : $"{path} is in use elsewhere; close it there, open it read-only, or give lock=off if you know that nobody writes.");
                case var error:
                    throw LinuxError.Exception(error, $"Locking {path} (lock=off does without)");
            }
        }
    }

    private static (int Alignment, int MemoryAlignment) DirectAlignments(string path, SafeDescriptor file, in FileStatus status)
    {
        if ((status.Mask & Libc.STATX_DIOALIGN) != 0)
        {
            return status.DirectOffsetAlignment > 0
                ? ((int)status.DirectOffsetAlignment, Math.Max(8, (int)status.DirectMemoryAlignment))
                : throw new BackendException(BackendError.NotSupported, $"{path} has no direct I/O on its file system; leave direct=on out.");
        }

        using var buffer = new AlignedBuffer(4096, 4096);
        foreach (int alignment in (ReadOnlySpan<int>)[512, 4096])
        {
            if (Libc.ReadAt(file, buffer.Start, (nuint)alignment, 0) >= 0)
                return (alignment, alignment);
        }

        throw LinuxError.Exception(LinuxError.Last, $"A direct read of {path} (leave direct=on out)");
    }

    /// <summary>A hole beyond the end changes nothing, so it can be asked for to see whether holes can be had.</summary>
    private static bool CanPunch(SafeDescriptor file, string path, long length)
    {
        const int Mode = Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE;
        long beyond = (length + (1 << 20)) & ~0xFFFFL;
        try
        {
            return FileCalls.TryAllocate(file, path, Mode, beyond, 65_536);
        }
        catch (BackendException)
        {
            // Beyond what the file system can hold: then it is told when a hole is asked for.
            return true;
        }
    }

    private static long ControlNumber(SafeDescriptor device, string path, nuint request)
    {
        long number = 0;
        if (Libc.ControlBlock(device, request, &number) != 0)
            throw LinuxError.Exception(LinuxError.Last, $"ioctl {request:x} of {path}");
        return number;
    }

    private static BackendException CannotOpen(Errno error, string path, FileBackendOptions options) => error switch
    {
        Errno.ENOENT when options.Length is null
            => new BackendException(BackendError.NotFound, $"{path} does not exist; give size= to create it."),
        Errno.EBUSY => new BackendException(BackendError.AccessDenied, $"{path} is in use (mounted, swap or part of an array); give lock=off to open it nevertheless."),
        Errno.EINVAL or Errno.EOPNOTSUPP when options.Direct
            => new BackendException(BackendError.NotSupported, $"{path} has no direct I/O on its file system; leave direct=on out."),
        _ => LinuxError.Exception(error, $"Opening {path}"),
    };

    private static Errno TryOpen(string path, int flags, uint mode, out SafeDescriptor file)
    {
        while (true)
        {
            int number = Libc.Open(path, flags | Libc.O_CLOEXEC, mode);
            var error = number < 0 ? LinuxError.Last : Errno.Ok;
            if (error == Errno.EINTR)
                continue;
            file = new SafeDescriptor(number);
            return error;
        }
    }
}
