using Microsoft.Win32.SafeHandles;

namespace Farspan.Backends.Directories;

/// <summary>Opens, locks and, where that is asked for, sets up a chunk directory.</summary>
internal static class ChunkDirectoryOpening
{
    private const int ReadOnlyFileSystemOnLinux = 30;

    /// <summary>Opens it. The file that is returned holds the lock until it is closed.</summary>
    /// <exception cref="BackendException">See <see cref="DirectoryBackend.Open"/>.</exception>
    public static (ChunkNames Names, ChunkDirectoryDescription Description, SafeFileHandle Lock, bool IsReadOnly) Open(
        string path, DirectoryBackendOptions options)
    {
        var names = new ChunkNames(Path.GetFullPath(path));
        bool mayCreate = options is { Length: not null, ReadOnly: false };
        if (File.Exists(path))
            throw new BackendException(BackendError.Invalid, $"{path} is a file; give a directory.");
        if (!Directory.Exists(path) && !mayCreate)
            throw new BackendException(BackendError.NotFound, $"The directory {path} does not exist; give size= to create it.");
        if (mayCreate && !Directory.Exists(path))
        {
            Directory.CreateDirectory(names.Root);
            if (Path.GetDirectoryName(names.Root) is { } parent)
                options.SyncDirectory?.Invoke(parent);
        }

        if (!File.Exists(names.Description))
            CheckMayBeSetUp(path, names, mayCreate);
        var (held, isReadOnly) = Lock(path, names, options);
        try
        {
            var description = ChunkDirectoryDescription.Read(names.Description);
            if (description is null)
            {
                // Again, as the owner of the lock: another may have set it up meanwhile.
                CheckMayBeSetUp(path, names, mayCreate && !isReadOnly);
                description = SetUp(names, options);
            }

            Compare(path, description, options);
            return (names, description, held, isReadOnly);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    private static void CheckMayBeSetUp(string path, ChunkNames names, bool mayCreate)
    {
        bool holdsOther = Directory.EnumerateFileSystemEntries(names.Root)
            .Any(entry => entry != names.Lock && entry != ChunkNames.Unfinished(names.Description));

        // Another may have set it up since it was found without a description: the lock then tells who has it.
        if (File.Exists(names.Description))
            return;
        if (holdsOther)
            throw new BackendException(BackendError.Invalid, $"{path} holds something else than chunks; give an empty or a new directory.");
        if (!mayCreate)
            throw new BackendException(BackendError.NotFound, $"{path} is empty; give size= to set it up.");
    }

    private static (SafeFileHandle Lock, bool IsReadOnly) Lock(string path, ChunkNames names, DirectoryBackendOptions options)
    {
        try
        {
            if (!options.ReadOnly)
            {
                try
                {
                    return (File.OpenHandle(names.Lock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None), false);
                }
                catch (Exception error) when (error is UnauthorizedAccessException or IOException { HResult: ReadOnlyFileSystemOnLinux })
                {
                    // Read-only, then, if it permits that.
                }
            }

            return (File.OpenHandle(names.Lock, FileMode.Open, FileAccess.Read, FileShare.Read), true);
        }
        catch (IOException error) when (error is not (FileNotFoundException or DirectoryNotFoundException))
        {
            throw new BackendException(
                BackendError.AccessDenied, $"{path} is in use elsewhere; close it there, or open both read-only. ({error.Message})", error);
        }
    }

    private static ChunkDirectoryDescription SetUp(ChunkNames names, DirectoryBackendOptions options)
    {
        var description = new ChunkDirectoryDescription(options.Length!.Value, options.ChunkLength ?? DirectoryBackendOptions.DefaultChunkLength);
        description.Write(names.Description);
        options.SyncDirectory?.Invoke(names.Root);
        return description;
    }

    private static void Compare(string path, ChunkDirectoryDescription description, DirectoryBackendOptions options)
    {
        if (options.Length is { } length && length != description.Length)
            throw Other(path, $"{description.Length} bytes", $"{length}", "size=");
        if (options.ChunkLength is { } chunk && chunk != description.ChunkLength)
            throw Other(path, $"chunks of {description.ChunkLength} bytes", $"{chunk}", "chunk=");
    }

    private static BackendException Other(string path, string has, string wanted, string parameter)
        => new(BackendError.Invalid, $"{path} was made with {has}, not the {wanted} asked for; leave {parameter} out to take it as it is.");
}
