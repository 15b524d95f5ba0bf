using System.Globalization;
using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Mounts;

namespace Farspan.Linux.Fuse;

/// <content>What the kernel keeps of the file, for a backend that changes hands.</content>
public sealed partial class FuseMount
{
    private Task _writingBack = Task.CompletedTask;
    private Task _dropping = Task.CompletedTask;

    /// <summary>
    /// Has the kernel write back what programs wrote into mappings of the file, by whatever path they opened it, and flushes the backend. What they
    /// write afterwards is not in it: they are to be stopped before. One call at a time.
    /// </summary>
    /// <param name="cancellationToken">Gives up; the kernel goes on by itself, and the next call waits for that.</param>
    /// <exception cref="BackendException">The backend refused some of it, or the flush failed.</exception>
    /// <exception cref="MountException">The file cannot be reached.</exception>
    internal async Task WriteBackAsync(CancellationToken cancellationToken)
    {
        await _writingBack.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        _writingBack = OnThread(() => ApartThread.Run(SyncFile));
        await _writingBack.WaitAsync(cancellationToken);
    }

    /// <summary>
    /// Has the kernel drop what it keeps of the file's bytes, so that every reader asks the backend anew, which is to answer meanwhile: the kernel
    /// waits for reads that are under way. One call at a time.
    /// </summary>
    /// <param name="cancellationToken">Gives up; the kernel goes on by itself, and the next call waits for that.</param>
    /// <exception cref="BackendException">The kernel refused.</exception>
    internal async Task DropCacheAsync(CancellationToken cancellationToken)
    {
        await _dropping.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        _dropping = OnThread(() =>
        {
            if (!_session.DropCacheByOpening(() => ApartThread.Run(TryOpenFile)))
                _session.DropCache();
            return true;
        });
        await _dropping.WaitAsync(cancellationToken);
    }

    // Any descriptor of the file will do. It must not be kept: an open file cannot be unmounted.
    private bool SyncFile()
    {
        using var file = new SafeDescriptor(Libc.Open(Path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0));
        if (file.IsInvalid)
            throw new MountException(LinuxError.Exception(LinuxError.Last, $"opening {Path} to write back what the kernel keeps of it").Message);
        if (!IsOurs(file))
            throw new MountException($"Something else is mounted over {Path}, so that what the kernel keeps of the file cannot be written back; unmount that first.");
        return Libc.Sync(file) == 0 ? true : throw LinuxError.Exception(LinuxError.Last, $"writing back what the kernel keeps of {Path}");
    }

    private bool TryOpenFile()
    {
        using var file = new SafeDescriptor(Libc.Open(Path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0));
        return !file.IsInvalid && IsOurs(file);
    }

    private bool IsOurs(SafeDescriptor file)
        => Libc.StatX(file, "", Libc.AT_EMPTY_PATH, Libc.STATX_BASIC_STATS, out var status) == 0
            && (_mount.Device is not { } own || own == string.Create(CultureInfo.InvariantCulture, $"{status.DeviceMajor}:{status.DeviceMinor}"));
}
