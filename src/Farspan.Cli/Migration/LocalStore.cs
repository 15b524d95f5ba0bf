using System.Globalization;
using Farspan.Backends;
using Farspan.Units;

namespace Farspan.Cli.Migration;

/// <summary>Opens the store that gets a region.</summary>
internal static class LocalStore
{
    /// <summary>Opens it; a file or a directory that is not there yet is made, as long as the region.</summary>
    /// <exception cref="CommandException">It has another length, or cannot be written.</exception>
    /// <exception cref="BackendException">It cannot be opened.</exception>
    public static async Task<IBackend> OpenAsync(BackendRegistry registry, string text, long length, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var uri = BackendUri.Parse(text);
        bool isAbsent = uri.Scheme is "file" or "directory" && uri.Get("size") is null && !Path.Exists(uri.Path);
        string complete = isAbsent ? string.Create(CultureInfo.InvariantCulture, $"{text}{(text.Contains('?', StringComparison.Ordinal) ? '&' : '?')}size={length}") : text;
        var store = await registry.OpenAsync(complete, new BackendOpenOptions { Timeout = timeout }, cancellationToken);
        if (store.Length == length && !store.IsReadOnly)
            return store;
        await store.DisposeAsync();
        throw new CommandException(store.IsReadOnly
            ? $"{text} cannot be written, and is to get the region"
            : $"{text} has {ByteSize.Format(store.Length)} ({store.Length} bytes), and the region has {ByteSize.Format(length)} ({length} bytes); give a store of that length, or a file that does not exist yet");
    }
}
