using System.Text;
using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Mounts;

namespace Farspan.Linux.Fuse;

/// <summary>A backend mounted as an ordinary file, served by threads of this process.</summary>
/// <remarks>
/// <para>This process must not use the file while it serves it, least of all map it: a garbage collection that meets such a page fault never
/// ends, and neither does the process. Programs outside may do with it what they like.</para>
/// <para>A write has reached the backend when it returns (unless <see cref="FuseMountOptions.UseWritebackCache"/>), and is durable after fsync.
/// Closing writes back what was mapped, but does not make it durable. Thread-safe.</para>
/// </remarks>
public sealed partial class FuseMount : IAsyncDisposable
{
    private readonly FuseSession _session;
    private readonly MountTarget _target;
    private readonly OwnMount _mount;
    private readonly FuseMountOptions _options;
    private readonly SemaphoreSlim _unmounting = new(1, 1);
    private int _isReported;

    private FuseMount(FuseSession session, MountTarget target, OwnMount mount, FuseMountOptions options)
    {
        _session = session;
        _target = target;
        _mount = mount;
        _options = options;
        Path = target.IsDirectory ? System.IO.Path.Combine(target.Path, options.FileName) : target.Path;
        ProcessExit.Add(this);
        Completion = RunAsync();
    }

    /// <summary>The mounted file's absolute path.</summary>
    public string Path { get; }

    /// <summary>Where the file system is mounted: <see cref="Path"/>, or the directory that it is in.</summary>
    public string MountPoint => _target.Path;

    /// <summary>
    /// Completes once the mount has ended, by whomever it was unmounted, and everything is flushed and cleaned up. It fails with what went wrong
    /// on the way, as <see cref="UnmountAsync"/> does.
    /// </summary>
    public Task Completion { get; }

    /// <summary>Mounts <paramref name="backend"/> at <paramref name="target"/> and returns once it can be used.</summary>
    /// <param name="backend">What is mounted. It is not owned: dispose it after the mount has ended.</param>
    /// <param name="target">
    /// An absent path or a regular file, over which the file is mounted; or a directory, which then shows nothing but the file.
    /// </param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives the mounting up.</param>
    /// <exception cref="ArgumentException">An option is outside its bounds.</exception>
    /// <exception cref="MountException">The system refused; the message says what to do.</exception>
    public static async Task<FuseMount> MountAsync(
        IBackend backend, string target, FuseMountOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentException.ThrowIfNullOrEmpty(target);
        options ??= new FuseMountOptions();
        options.Validate();
        cancellationToken.ThrowIfCancellationRequested();
        long start = options.Clock.GetTimestamp();
        var creating = OnThread(() => Create(backend, target, options));
        FuseMount mount;
        try
        {
            mount = await creating.WaitAsync(options.MountTimeout, options.Clock, cancellationToken);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            await AbandonAsync(creating, options);
            throw error is TimeoutException ? TookTooLong(target, options, error) : error;
        }

        try
        {
            var left = options.MountTimeout - options.Clock.GetElapsedTime(start);
            // A connection that ends before the kernel has shaken hands says why.
            await (await Task.WhenAny(mount._session.Ready, mount.Completion)
                .WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, options.Clock, cancellationToken));
            if (!mount._session.Ready.IsCompleted)
                throw new MountException("it was unmounted before it was ready");
            await OnThread(() => mount.FinishMounting(backend));
            return mount;
        }
        catch (Exception error)
        {
            mount._isReported = 1;
            await mount.DisposeAsync();
            throw error switch
            {
                OperationCanceledException => error,
                TimeoutException => TookTooLong(target, options, error),
                _ => new MountException($"Cannot mount at {target}: {error.Message}", error),
            };
        }
    }

    /// <summary>
    /// Unmounts: the kernel writes back its pages, requests under way end, the backend is flushed. The mount stays as it was when this throws
    /// because programs still use the file, or because something else is mounted over it. Every caller waits for the end, and gets the same
    /// report of it.
    /// </summary>
    /// <exception cref="MountException">
    /// The file is in use or covered, or something did not end within <see cref="FuseMountOptions.CloseTimeout"/> and was cut off.
    /// </exception>
    /// <exception cref="BackendException">The last flush failed, or writes of the page cache did.</exception>
    public async Task UnmountAsync(CancellationToken cancellationToken = default)
    {
        await _unmounting.WaitAsync(cancellationToken);
        try
        {
            long start = _options.Clock.GetTimestamp();
            while (!_session.ReadersEnded.IsCompleted && !await TryUnmountAsync(isLazy: false))
            {
                if (_options.Clock.GetElapsedTime(start) > _options.BusyTimeout)
                    throw InUse(MountPoint);
                await Task.Delay(TimeSpan.FromMilliseconds(10), _options.Clock, cancellationToken);
            }
        }
        finally
        {
            _unmounting.Release();
        }

        await WaitForReadersAsync(_options.CloseTimeout);
        Volatile.Write(ref _isReported, 1);
        await Completion;
    }

    /// <summary>
    /// Unmounts, whatever it takes: a mount in use is detached, and ended when its last user has closed it or
    /// <see cref="FuseMountOptions.CloseTimeout"/> is over. Waits for the end, and throws only what nobody was told yet.
    /// </summary>
    /// <exception cref="MountException">Something did not end in time.</exception>
    /// <exception cref="BackendException">The last flush failed, or writes of the page cache did.</exception>
    public async ValueTask DisposeAsync()
    {
        await _unmounting.WaitAsync();
        try
        {
            if (!_session.ReadersEnded.IsCompleted && !await TryUnmountAsync(isLazy: false))
                await TryUnmountAsync(isLazy: true);
        }
        catch (MountException error)
        {
            // Refused, as when something is mounted over it: who uses the file is cut off, and what is left of it is the system's to remove.
            await StopAsync(error.Message);
        }
        finally
        {
            _unmounting.Release();
        }

        await WaitForReadersAsync(_options.CloseTimeout + _options.CloseTimeout);
        await ((Task)Completion).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (Interlocked.Exchange(ref _isReported, 1) == 0)
            await Completion;
    }

    /// <summary>
    /// Removes what a server that has died left at a target of <see cref="MountAsync"/>: the mount, and what was made to mount on. What is served
    /// is not touched.
    /// </summary>
    /// <exception cref="MountException">The system refused.</exception>
    public static Task RemoveDeadAsync(string target)
        => OnThread(() =>
        {
            MountTarget.CleanUpAfterDeath(target, FuseMounters.ForThisUser());
            return true;
        });

    internal static MountException InUse(string mountPoint)
        => new($"{mountPoint} is in use and stays mounted; close what uses it ('fuser -vm {mountPoint}' lists it) and try again.");

    private static MountException TookTooLong(string target, FuseMountOptions options, Exception error)
        => new($"Mounting at {target} took longer than {options.MountTimeout.TotalSeconds:0} s.", error);

    // What is half made is taken down before the caller goes on, and may end the process.
    private static async Task AbandonAsync(Task<FuseMount> creating, FuseMountOptions options)
    {
        try
        {
            await using var mount = await creating.WaitAsync(options.CloseTimeout, options.Clock);
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            // It failed by itself, or stands still inside the kernel, where nothing reaches it.
        }
    }

    private static FuseMount Create(IBackend backend, string target, FuseMountOptions options)
    {
        var mounter = FuseMounters.ForThisUser();
        var place = MountTarget.Prepare(target, mounter, options.Logger);
        try
        {
            bool isReadOnly = options.ReadOnly || backend.IsReadOnly;
            var settings = new FuseFileSettings
            {
                FileName = place.IsDirectory ? Encoding.UTF8.GetBytes(options.FileName) : null,
                IsReadOnly = isReadOnly,
                Mode = (uint)options.Mode & (isReadOnly ? ~(uint)(UnixFileMode.UserWrite | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite) : uint.MaxValue),
                OwnerId = Libc.EffectiveUserId(),
                GroupId = Libc.EffectiveGroupId(),
                MaximumRequestLength = options.MaximumRequestLength,
                MaximumBackground = Math.Max(1, options.MaximumRequests * 3 / 4),
                UseWritebackCache = options.UseWritebackCache && !isReadOnly,
                IgnoreOpenTruncation = options.IgnoreOpenTruncation,
                Clock = options.Clock,
            };
            var device = mounter.Mount(place, options, isReadOnly);
            var own = OwnMount.Find(mounter, place.Path, device);
            try
            {
                var session = new FuseSession(device, backend, settings, options, System.IO.Path.GetFileName(place.Path));
                session.Start();
                return new FuseMount(session, place, own, options);
            }
            catch
            {
                own.TryUnmount(isLazy: true);
                throw;
            }
        }
        catch
        {
            place.Release(place.Path);
            throw;
        }
    }

    /// <summary>The process ends without having disposed the mount: what can be done at once is done, so that no dead mount stays behind.</summary>
    internal void Abandon()
    {
        try
        {
            _mount.TryUnmount(isLazy: true);
            _target.Release(_mount.Path);
        }
        catch (IOException error)
        {
            LogMessages.NotCleanedUp(_options.Logger, MountPoint, error.Message);
        }
    }

    private static Task<T> OnThread<T>(Func<T> blocking)
        => Task.Factory.StartNew(blocking, CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);

    private bool FinishMounting(IBackend backend)
    {
        _mount.SetReadAhead(_options.ReadAhead, _options.Logger);

        // With the write-back cache the kernel keeps the size itself, and the root starts with none: it believes only a truncation.
        bool needsSize = _options.UseWritebackCache && !_target.IsDirectory && !_options.ReadOnly && !backend.IsReadOnly;
        var error = needsSize ? ApartThread.Run(() => Libc.TruncatePath(Path, backend.Length) == 0 ? Errno.Ok : LinuxError.Last) : Errno.Ok;
        return error == Errno.Ok ? true : throw LinuxError.Exception(error, $"setting the size of {Path}");
    }
}
