using Farspan.Backends;
using Farspan.Mounts;

namespace Farspan.Linux.Mounts;

/// <summary>
/// A remote mounted with a local cache, in its three forms: the path, for any program; a file, by <see cref="OpenFile"/>; memory, by
/// <see cref="OpenMemory"/>. Close it with <see cref="CloseAsync"/>, which says what could not be pushed. Thread-safe.
/// </summary>
public sealed class ManagedMount : IAsyncDisposable
{
    private readonly DirectMount _file;
    private readonly IManagedServer _server;

    internal ManagedMount(DirectMount file, IManagedServer server)
    {
        _file = file;
        _server = server;
    }

    /// <summary>The mounted file's absolute path.</summary>
    public string Path => _file.Path;

    /// <summary>Number of bytes.</summary>
    public long Length => _file.Length;

    /// <summary>Whether it is mounted for reading only.</summary>
    public bool IsReadOnly => _file.IsReadOnly;

    /// <summary>Where the mount is in its life.</summary>
    public MountState State => _file.State;

    /// <summary>Whether <see cref="OpenMemory"/> is possible: another process serves the file.</summary>
    public bool CanOpenMemory => _file.CanOpenMemory;

    /// <summary>The process that serves the file: this one, or the <c>farspan</c> program.</summary>
    public int ServerProcessId => _file.ServerProcessId;

    /// <summary>Completes once the mount has ended, by whomever, with what went wrong on the way. Nobody has to wait for it.</summary>
    public Task Completion => _file.Completion;

    /// <summary>Opens the mounted file. It is closed with the mount at the latest.</summary>
    /// <param name="access">Reading, writing, or both. Default: both, or reading where the mount is read-only.</param>
    /// <exception cref="BackendException">The file cannot be opened so.</exception>
    /// <exception cref="ObjectDisposedException">The mount is closed.</exception>
    public RemoteFile OpenFile(FileAccess? access = null) => _file.OpenFile(access);

    /// <summary>Maps the mounted file into this process. It is unmapped with the mount at the latest.</summary>
    /// <exception cref="InvalidOperationException">This process serves the file itself, as <see cref="DirectMount.OpenMemory"/> explains.</exception>
    /// <exception cref="BackendException">It cannot be mapped.</exception>
    /// <exception cref="ObjectDisposedException">The mount is closed.</exception>
    public MountedMemory OpenMemory() => _file.OpenMemory();

    /// <summary>Says what is local, dirty and in flight, and whether the remote answers.</summary>
    /// <exception cref="MountException">Another process serves the mount, and does not answer.</exception>
    public ValueTask<ManagedMountStatus> GetStatusAsync(CancellationToken cancellationToken = default) => _server.GetStatusAsync(cancellationToken);

    /// <summary>
    /// Closes every opened form, unmounts, pushes what is dirty, closes the remote, and says what is left. When programs still use the file this
    /// throws, and the mount stays open. Closing again reports the same again.
    /// </summary>
    /// <exception cref="MountException">The file is in use, or something did not end in time.</exception>
    /// <exception cref="BackendException">Writes of the page cache failed and are lost.</exception>
    public async Task<MountCloseReport> CloseAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await _file.CloseAsync(cancellationToken);
        }
        catch (Exception) when (_file.Completion.IsCompleted)
        {
            // What the report tells needs no exception; anything else does.
            if (await _server.GetReportAsync() is { IsComplete: false } report)
                return report;
            throw;
        }

        return await _server.GetReportAsync() ?? new MountCloseReport(0, null, null);
    }

    /// <summary>Closes, and cuts off programs that still use the file. Throws only what no call to <see cref="CloseAsync"/> has told before.</summary>
    /// <exception cref="MountException">Programs were cut off; or something that was written is not at the remote, and the message says how much.</exception>
    /// <exception cref="BackendException">Writes of the page cache failed and are lost.</exception>
    public ValueTask DisposeAsync() => _file.DisposeAsync();
}
