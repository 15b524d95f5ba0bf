using System.Globalization;
using System.Text;
using Farspan.Backends;
using Microsoft.Win32.SafeHandles;

namespace Farspan.Mounts.Caching;

/// <summary>
/// A directory of the file system that holds a cache, locked for one owner. Only its user may read it: files are made with mode 0600, the directory
/// with 0700.
/// </summary>
internal sealed class CacheDirectory : ICacheFiles
{
    private const string LockName = "lock";
    private const string OwnerName = "owner";
    private const UnixFileMode FileAccessMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _path;
    private readonly SafeFileHandle _lock;
    private readonly Func<string, IBackend> _openData;
    private readonly Action<string>? _syncNames;

    private CacheDirectory(string path, SafeFileHandle held, Func<string, IBackend> openData, Action<string>? syncNames)
    {
        _path = path;
        _lock = held;
        _openData = openData;
        _syncNames = syncNames;
    }

    /// <inheritdoc/>
    public string Name => _path;

    /// <summary>Locks a directory, and creates it where it is absent.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="openData">
    /// Opens the data file, which exists, for writing. Default: <see cref="FileBackend"/>, which cannot give space back.
    /// </param>
    /// <param name="syncNames">Makes the names in a directory durable. Default: none, which .NET cannot: the system does it in time.</param>
    /// <exception cref="BackendException">It is in use, no directory, or cannot be made.</exception>
    public static CacheDirectory Open(string path, Func<string, IBackend>? openData = null, Action<string>? syncNames = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        path = Path.GetFullPath(path);
        try
        {
            if (!Directory.Exists(path))
            {
                CreatePrivate(path);
                if (Path.GetDirectoryName(path) is { } parent)
                    syncNames?.Invoke(parent);
            }

            var held = Lock(path);
            try
            {
                using var owner = Create(Path.Combine(path, OwnerName));
                RandomAccess.SetLength(owner, 0);
                RandomAccess.Write(owner, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}\n")), 0);
            }
            catch
            {
                held.Dispose();
                throw;
            }

            return new CacheDirectory(path, held, openData ?? (data => FileBackend.Open(data)), syncNames);
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            throw FileErrors.Wrap(error, $"Opening the cache directory {path} failed");
        }
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<string>> ListAsync()
        => Try<IReadOnlyList<string>>(
            "Listing", _path, () => [.. Directory.EnumerateFileSystemEntries(_path).Select(entry => Path.GetFileName(entry)).Where(name => name is not (LockName or OwnerName))]);

    /// <inheritdoc/>
    public ValueTask<ICacheFile> OpenAsync(string name)
        => Try<ICacheFile>("Opening", At(name), () => new CacheFile(At(name), File.OpenHandle(At(name), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite)));

    /// <inheritdoc/>
    public ValueTask<ICacheFile> CreateAsync(string name)
        => Try<ICacheFile>("Creating", At(name), () =>
        {
            // A new file, not the old one emptied: a reader may still have that.
            File.Delete(At(name));
            return new CacheFile(At(name), Create(At(name)));
        });

    /// <inheritdoc/>
    public ValueTask<IBackend> OpenDataAsync(string name, long length)
        => Try("Opening", At(name), () =>
        {
            if (!File.Exists(At(name)))
            {
                using var created = Create(At(name));
                RandomAccess.SetLength(created, length);
                RandomAccess.FlushToDisk(created);
            }

            var data = _openData(At(name));
            if (data.Length == length)
                return data;
            string message = $"{At(name)} has {data.Length} bytes, not {length}; delete the directory {_path} to start anew: what was not pushed from it is then lost.";
            data.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw new BackendException(BackendError.Corrupt, message);
        });

    /// <inheritdoc/>
    public ValueTask RenameAsync(string from, string to) => Try("Renaming", At(from), () => File.Move(At(from), At(to), overwrite: true));

    /// <inheritdoc/>
    public ValueTask DeleteAsync(string name) => Try("Deleting", At(name), () => File.Delete(At(name)));

    /// <inheritdoc/>
    public ValueTask SyncNamesAsync() => Try("Flushing", _path, () => _syncNames?.Invoke(_path));

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _lock.Dispose();
        return default;
    }

    private static void CreatePrivate(string path)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(path);
        else
            Directory.CreateDirectory(path, FileAccessMode | UnixFileMode.UserExecute);
    }

    private static SafeFileHandle Lock(string path)
    {
        string lockPath = Path.Combine(path, LockName);
        try
        {
            return Create(lockPath, FileShare.None);
        }
        catch (IOException error) when (error is not (FileNotFoundException or DirectoryNotFoundException or PathTooLongException))
        {
            throw new BackendException(
                BackendError.Leased, $"The cache directory {path} is in use by {Owner(path)}; unmount there first, or give another directory. ({error.Message})", error);
        }
    }

    private static string Owner(string path)
    {
        try
        {
            return $"process {File.ReadAllText(Path.Combine(path, OwnerName)).Trim()}";
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            return "another process";
        }
    }

    private static SafeFileHandle Create(string path, FileShare share = FileShare.ReadWrite)
    {
        if (!File.Exists(path))
        {
            var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.Write, Share = FileShare.ReadWrite, BufferSize = 0 };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = FileAccessMode;
            using var created = new FileStream(path, options);
        }

        return File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, share);
    }

    private string At(string name) => Path.Combine(_path, name);

    private static ValueTask Try(string what, string path, Action call)
    {
        try
        {
            call();
            return default;
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            return ValueTask.FromException(FileErrors.Wrap(error, $"{what} {path} failed"));
        }
        catch (BackendException failure)
        {
            return ValueTask.FromException(failure);
        }
    }

    private static ValueTask<T> Try<T>(string what, string path, Func<T> call)
    {
        try
        {
            return new ValueTask<T>(call());
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            return ValueTask.FromException<T>(FileErrors.Wrap(error, $"{what} {path} failed"));
        }
        catch (BackendException failure)
        {
            return ValueTask.FromException<T>(failure);
        }
    }
}
