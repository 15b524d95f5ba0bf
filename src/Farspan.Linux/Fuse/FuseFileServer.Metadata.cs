using Farspan.Linux.Fuse.Protocol;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <content>What is asked now and then: the connection, names, attributes, handles, ranges.</content>
internal sealed unsafe partial class FuseFileServer
{
    private const FuseInitFlags Wanted
        = FuseInitFlags.ASYNC_READ | FuseInitFlags.BIG_WRITES | FuseInitFlags.ASYNC_DIO | FuseInitFlags.PARALLEL_DIROPS
          | FuseInitFlags.ABORT_ERROR | FuseInitFlags.MAX_PAGES | FuseInitFlags.EXPLICIT_INVAL_DATA | FuseInitFlags.INIT_EXT;

    private const int Page = 4096;
    private const int MaximumNameLength = 255;

    private Errno Init(FuseRequest request, int bodyLength)
    {
        if (bodyLength < 16)
            return request.ReplyError(Errno.EINVAL);
        var input = (FuseInitIn*)request.Body;
        if (input->major > FuseProtocol.Major)
            return request.ReplyStruct(new FuseInitOut { major = FuseProtocol.Major, minor = FuseProtocol.Minor });
        if (input->major < FuseProtocol.Major || input->minor < FuseProtocol.OldestMinor)
        {
            _ready.TrySetException(new NotSupportedException(
                $"This kernel speaks FUSE {input->major}.{input->minor}; {FuseProtocol.Major}.{FuseProtocol.OldestMinor} (Linux 5.4) or newer is needed."));
            return request.ReplyError(Errno.EPROTO);
        }

        ulong offered = input->flags | (bodyLength >= 20 && (input->flags & (uint)FuseInitFlags.INIT_EXT) != 0 ? (ulong)input->flags2 << 32 : 0);
        var granted = (FuseInitFlags)offered & (_settings.UseWritebackCache ? Wanted | FuseInitFlags.WRITEBACK_CACHE : Wanted);
        var sent = request.ReplyStruct(new FuseInitOut
        {
            major = FuseProtocol.Major,
            minor = Math.Min(input->minor, FuseProtocol.Minor),
            max_readahead = int.MaxValue,
            flags = (uint)granted,
            flags2 = (uint)((ulong)granted >> 32),
            max_background = (ushort)_settings.MaximumBackground,
            congestion_threshold = (ushort)Math.Max(1, _settings.MaximumBackground * 3 / 4),
            max_write = (uint)_settings.MaximumRequestLength,
            max_pages = (ushort)Math.Max(1, _settings.MaximumRequestLength / Environment.SystemPageSize),
            time_gran = 1,
        });
        if (sent == Errno.Ok)
            _ready.TrySetResult();
        else
            _ready.TrySetException(LinuxError.Exception(sent, "answering the FUSE handshake"));
        return sent;
    }

    /// <summary>Whether the kernel is to drop the file's pages when somebody opens it.</summary>
    public bool DropsCacheAtOpen
    {
        set => _dropsCacheAtOpen = value;
    }

    /// <summary>Sends the notice that the kernel is to drop the file's pages.</summary>
    public Errno SendDropCache(IFuseChannel channel)
    {
        const int length = 40;
        byte* notice = stackalloc byte[length];
        *(FuseOutHeader*)notice = new FuseOutHeader { len = length, error = FuseProtocol.FUSE_NOTIFY_INVAL_INODE };
        *(FuseNotifyInvalInodeOut*)(notice + sizeof(FuseOutHeader)) = new FuseNotifyInvalInodeOut { ino = _attributes.FileId };
        return channel.Send(notice, length);
    }

    private Errno Metadata(FuseRequest request, int bodyLength)
    {
        ulong id = request.Header.nodeid;
        bool isKnown = id == _attributes.FileId || id == FuseProtocol.RootId;
        if (!isKnown && request.Opcode is not FuseOpcode.DESTROY)
            return request.ReplyError(Errno.ENOENT);
        return request.Opcode switch
        {
            FuseOpcode.LOOKUP => Lookup(request, bodyLength),
            FuseOpcode.GETATTR => request.ReplyStruct(_attributes.Attributes(id)),
            FuseOpcode.SETATTR => SetAttributes(request, bodyLength),
            FuseOpcode.OPEN => Open(request, bodyLength),
            FuseOpcode.RELEASE => Release(request, bodyLength),
            FuseOpcode.OPENDIR => request.ReplyStruct(new FuseOpenOut { open_flags = FuseProtocol.FOPEN_KEEP_CACHE | FuseProtocol.FOPEN_CACHE_DIR }),
            FuseOpcode.READDIR => ReadDirectory(request, bodyLength),
            FuseOpcode.RELEASEDIR or FuseOpcode.DESTROY => request.ReplyError(Errno.Ok),
            FuseOpcode.STATFS => StatFileSystem(request),
            FuseOpcode.MKNOD or FuseOpcode.MKDIR or FuseOpcode.SYMLINK or FuseOpcode.LINK or FuseOpcode.CREATE or FuseOpcode.TMPFILE
                or FuseOpcode.UNLINK or FuseOpcode.RMDIR or FuseOpcode.RENAME or FuseOpcode.RENAME2 => request.ReplyError(Errno.EPERM),
            // The kernel remembers ENOSYS and asks no more: a close costs no round trip. It still reports failed write-back of pages itself.
            _ => request.ReplyError(Errno.ENOSYS),
        };
    }

    private Errno Lookup(FuseRequest request, int bodyLength)
    {
        var name = new ReadOnlySpan<byte>(request.Body, bodyLength).TrimEnd((byte)0);
        return _settings.FileName is { } file && request.Header.nodeid == FuseProtocol.RootId && name.SequenceEqual(file)
            ? request.ReplyStruct(_attributes.Entry(_attributes.FileId))
            : request.ReplyError(Errno.ENOENT);
    }

    private Errno SetAttributes(FuseRequest request, int bodyLength)
    {
        if (bodyLength < sizeof(FuseSetattrIn))
            return request.ReplyError(Errno.EINVAL);
        ulong id = request.Header.nodeid;
        if (id != _attributes.FileId)
            return request.ReplyError(Errno.EPERM);
        if (_settings.IsReadOnly)
            return request.ReplyError(Errno.EROFS);
        var change = *(FuseSetattrIn*)request.Body;
        bool mayBeOpening = (change.valid & (FuseProtocol.FATTR_SIZE | FuseProtocol.FATTR_FH)) == FuseProtocol.FATTR_SIZE && change.size == 0;
        bool isOpening = mayBeOpening && _handles.TryTruncateByOpening(request.ProcessId);
        var error = _attributes.Change(change, isOpening);
        return error == Errno.Ok ? request.ReplyStruct(_attributes.Attributes(id)) : request.ReplyError(error);
    }

    private Errno Open(FuseRequest request, int bodyLength)
    {
        if (bodyLength < sizeof(FuseOpenIn))
            return request.ReplyError(Errno.EINVAL);
        if (request.Header.nodeid != _attributes.FileId)
            return request.ReplyError(Errno.EISDIR);
        uint access = ((FuseOpenIn*)request.Body)->flags & Libc.O_ACCMODE;
        if (access != Libc.O_RDONLY && _settings.IsReadOnly)
            return request.ReplyError(Errno.EROFS);
        return request.ReplyStruct(new FuseOpenOut
        {
            fh = _handles.Open(request.ProcessId, access),
            open_flags = (_dropsCacheAtOpen ? 0 : FuseProtocol.FOPEN_KEEP_CACHE) | FuseProtocol.FOPEN_PARALLEL_DIRECT_WRITES,
        });
    }

    private Errno Release(FuseRequest request, int bodyLength)
    {
        if (bodyLength >= sizeof(FuseReleaseIn))
            _handles.Release(((FuseReleaseIn*)request.Body)->fh);
        return request.ReplyError(Errno.Ok);
    }

    private Errno ReadDirectory(FuseRequest request, int bodyLength)
    {
        if (bodyLength < sizeof(FuseReadIn) || _settings.FileName is not { } file)
            return request.ReplyError(Errno.EINVAL);
        var input = *(FuseReadIn*)request.Body;
        int room = (int)Math.Min(input.size, (uint)request.Capacity);
        int used = 0;
        for (ulong index = input.offset; index < 3; index++)
        {
            var name = index switch { 0 => "."u8, 1 => ".."u8, _ => file };
            int entryLength = (sizeof(FuseDirent) + name.Length + 7) & ~7;
            if (used + entryLength > room)
                break;
            var entry = new Span<byte>(request.Payload + used, entryLength);
            entry.Clear();
            var header = (FuseDirent*)(request.Payload + used);
            header->ino = index == 2 ? _attributes.FileId : FuseProtocol.RootId;
            header->off = index + 1;
            header->namelen = (uint)name.Length;
            header->type = index == 2 ? FuseProtocol.DT_REG : FuseProtocol.DT_DIR;
            name.CopyTo(entry[sizeof(FuseDirent)..]);
            used += entryLength;
        }

        return request.ReplyPayload(used);
    }

    private Errno StatFileSystem(FuseRequest request)
        => request.ReplyStruct(new FuseKstatfs
        {
            blocks = ((ulong)_backend.Length + Page - 1) / Page,
            files = 1,
            bsize = Page,
            frsize = Page,
            namelen = MaximumNameLength,
        });

    private bool Allocate(FuseRequest request, int bodyLength)
    {
        if (bodyLength < sizeof(FuseFallocateIn) || !IsFile(request))
            return Refuse(request, Errno.EINVAL);
        if (_settings.IsReadOnly)
            return Refuse(request, Errno.EROFS);
        var input = *(FuseFallocateIn*)request.Body;
        try
        {
            var error = _ranges.TryAllocate(input, request.Cancellation, out var running);
            return error == Errno.Ok ? Start(request, running) : Refuse(request, error);
        }
        catch (Exception error)
        {
            return Refuse(request, Failure(request, error));
        }
    }

    private bool Seek(FuseRequest request, int bodyLength)
    {
        if (bodyLength < sizeof(FuseLseekIn) || !IsFile(request))
            return Refuse(request, Errno.EINVAL);
        var input = *(FuseLseekIn*)request.Body;
        if (input.whence is not (FuseProtocol.SEEK_DATA or FuseProtocol.SEEK_HOLE))
            return Refuse(request, Errno.EINVAL);
        if (input.offset >= (ulong)_backend.Length)
            return Refuse(request, Errno.ENXIO);
        bool wantsData = input.whence == FuseProtocol.SEEK_DATA;
        // While someone may hold the file mapped for writing, a hole of the backend may be written already in the page cache: all counts as data.
        if (!_handles.MayHoldUnseenWrites)
            return Start(request, _ranges.SeekAsync(request, (long)input.offset, wantsData));
        request.Result = wantsData ? (long)input.offset : _backend.Length;
        return Log(request, ReplyDone(request));
    }
}
