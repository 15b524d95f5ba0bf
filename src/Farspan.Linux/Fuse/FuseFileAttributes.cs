using Farspan.Linux.Fuse.Protocol;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>What stat shows of the file, and of its directory where there is one. They live as long as the mount. Thread-safe.</summary>
internal sealed class FuseFileAttributes
{
    public const ulong FileIdInDirectory = 2;

    private const uint BlockSize = 4096;
    private const uint PermissionBits = 0xFFF;
    private const ulong OneDay = 86_400;

    private readonly Lock _lock = new();
    private readonly FuseFileSettings _settings;
    private readonly long _length;
    private readonly DateTimeOffset _created;
    private DateTimeOffset _accessed;
    private DateTimeOffset _changed;
    private long _modifiedTicks;
    private uint _mode;
    private uint _ownerId;
    private uint _groupId;

    public FuseFileAttributes(FuseFileSettings settings, long length)
    {
        _settings = settings;
        _length = length;
        _created = _accessed = _changed = settings.Clock.GetUtcNow();
        _modifiedTicks = _created.UtcTicks;
        _mode = settings.Mode;
        _ownerId = settings.OwnerId;
        _groupId = settings.GroupId;
        FileId = settings.FileName is null ? FuseProtocol.RootId : FileIdInDirectory;
    }

    public ulong FileId { get; }

    public void NoteWrite() => Volatile.Write(ref _modifiedTicks, _settings.Clock.GetUtcNow().UtcTicks);

    public FuseAttrOut Attributes(ulong id) => new() { attr_valid = OneDay, attr = Build(id) };

    public FuseEntryOut Entry(ulong id) => new() { nodeid = id, entry_valid = OneDay, attr_valid = OneDay, attr = Build(id) };

    /// <summary>Applies a SETATTR to the file; a truncation is pretended only where it belongs to an opening.</summary>
    public Errno Change(in FuseSetattrIn change, bool isOpening)
    {
        bool changesSize = (change.valid & FuseProtocol.FATTR_SIZE) != 0 && change.size != (ulong)_length;
        if (changesSize && !(isOpening && _settings.IgnoreOpenTruncation))
            return change.size > (ulong)_length ? Errno.EFBIG : Errno.EPERM;

        lock (_lock)
        {
            var now = _settings.Clock.GetUtcNow();
            if ((change.valid & FuseProtocol.FATTR_MODE) != 0)
                _mode = change.mode & PermissionBits;
            if ((change.valid & FuseProtocol.FATTR_UID) != 0)
                _ownerId = change.uid;
            if ((change.valid & FuseProtocol.FATTR_GID) != 0)
                _groupId = change.gid;
            if ((change.valid & FuseProtocol.FATTR_ATIME_NOW) != 0)
                _accessed = now;
            else if ((change.valid & FuseProtocol.FATTR_ATIME) != 0)
                _accessed = Time(change.atime, change.atimensec);
            if ((change.valid & FuseProtocol.FATTR_MTIME_NOW) != 0)
                Volatile.Write(ref _modifiedTicks, now.UtcTicks);
            else if ((change.valid & FuseProtocol.FATTR_MTIME) != 0)
                Volatile.Write(ref _modifiedTicks, Time(change.mtime, change.mtimensec).UtcTicks);
            _changed = now;
        }

        return Errno.Ok;
    }

    private static DateTimeOffset Time(ulong seconds, uint nanoseconds)
    {
        long bounded = Math.Clamp((long)seconds, DateTimeOffset.MinValue.ToUnixTimeSeconds(), DateTimeOffset.MaxValue.ToUnixTimeSeconds());
        return DateTimeOffset.FromUnixTimeSeconds(bounded).AddTicks(Math.Min(nanoseconds, 999_999_999) / TimeSpan.NanosecondsPerTick);
    }

    private static (ulong Seconds, uint Nanoseconds) Time(DateTimeOffset time)
    {
        long ticks = time.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks;
        long seconds = Math.DivRem(ticks, TimeSpan.TicksPerSecond, out long rest);
        return rest < 0
            ? ((ulong)(seconds - 1), (uint)((rest + TimeSpan.TicksPerSecond) * TimeSpan.NanosecondsPerTick))
            : ((ulong)seconds, (uint)(rest * TimeSpan.NanosecondsPerTick));
    }

    private FuseAttr Build(ulong id)
    {
        var attributes = new FuseAttr { ino = id, nlink = 1, blksize = BlockSize };
        lock (_lock)
        {
            bool isFile = id == FileId;
            var modified = isFile ? new DateTimeOffset(Volatile.Read(ref _modifiedTicks), TimeSpan.Zero) : _created;
            (attributes.atime, attributes.atimensec) = Time(isFile ? _accessed : _created);
            (attributes.mtime, attributes.mtimensec) = Time(modified);
            (attributes.ctime, attributes.ctimensec) = Time(modified > _changed ? modified : _changed);
            attributes.uid = _ownerId;
            attributes.gid = _groupId;
            if (isFile)
            {
                attributes.size = (ulong)_length;
                attributes.blocks = ((ulong)_length + 511) / 512;
                attributes.mode = FuseProtocol.S_IFREG | _mode;
            }
            else
            {
                // Who may read the file may enter its directory.
                attributes.mode = FuseProtocol.S_IFDIR | (_settings.Mode & 0x1B6) | ((_settings.Mode & 0x124) >> 2);
                attributes.nlink = 2;
            }
        }

        return attributes;
    }
}
