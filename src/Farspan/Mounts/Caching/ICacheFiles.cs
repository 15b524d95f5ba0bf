using Farspan.Backends;

namespace Farspan.Mounts.Caching;

/// <summary>The files of one cache directory, held for one owner until disposed. One call at a time.</summary>
internal interface ICacheFiles : IAsyncDisposable
{
    /// <summary>What the directory is called in messages.</summary>
    string Name { get; }

    /// <summary>The names of all files that are no part of the lock.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    ValueTask<IReadOnlyList<string>> ListAsync();

    /// <summary>Opens a file that is there.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    ValueTask<ICacheFile> OpenAsync(string name);

    /// <summary>Creates an empty file, in place of one of that name.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    ValueTask<ICacheFile> CreateAsync(string name);

    /// <summary>Opens the data file of <paramref name="length"/> bytes, or creates it, sparse.</summary>
    /// <exception cref="BackendException">It failed, or the file has another length.</exception>
    ValueTask<IBackend> OpenDataAsync(string name, long length);

    /// <summary>Gives a file another name, in place of one that has it.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    ValueTask RenameAsync(string from, string to);

    /// <summary>Removes a file.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    ValueTask DeleteAsync(string name);

    /// <summary>Makes the names durable.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    ValueTask SyncNamesAsync();
}
