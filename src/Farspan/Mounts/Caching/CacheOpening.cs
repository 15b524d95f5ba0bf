using System.Buffers;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Mounts.Caching;

/// <summary>Opens a cache directory: finds out what can be trusted, and begins a journal that says so.</summary>
internal static class CacheOpening
{
    /// <summary>Opens it, or sets it up where it is empty.</summary>
    /// <exception cref="BackendException">See <see cref="DirectoryChunkCache.OpenAsync"/>.</exception>
    public static async ValueTask<(IBackend Data, JournalFile Journal, ChunkNotes Notes)> OpenAsync(DirectoryCacheOptions options)
    {
        var names = await options.Files.ListAsync();
        if (!names.Contains(JournalFile.Name))
        {
            if (names.FirstOrDefault(name => name != JournalFile.UnfinishedName) is { } other)
            {
                throw new BackendException(
                    BackendError.Invalid, $"{options.Files.Name} holds '{other}' but no journal of a cache; give an empty or a new directory.");
            }

            return await SetUpAsync(options);
        }

        var file = await options.Files.OpenAsync(JournalFile.Name);
        try
        {
            return await RecoverAsync(options, file, names.Contains(DirectoryChunkCache.DataName));
        }
        finally
        {
            await file.DisposeAsync();
        }
    }

    /// <summary>The header of a journal of these options.</summary>
    public static JournalHeader Header(DirectoryCacheOptions options, long generation)
        => new(generation, options.Length, options.ChunkSize, options.BootId, options.Remote, SnapshotLength: 0);

    private static async ValueTask<(IBackend Data, JournalFile Journal, ChunkNotes Notes)> SetUpAsync(DirectoryCacheOptions options)
    {
        // The journal first: data without one could be anything.
        var notes = new ChunkNotes(new ChunkLayout(options.Length, options.ChunkSize));
        var journal = await JournalFile.CreateAsync(options.Files, Header(options, generation: 1), notes);
        try
        {
            return (await CreateDataAsync(options), journal, notes);
        }
        catch
        {
            await journal.DisposeAsync();
            throw;
        }
    }

    private static async ValueTask<(IBackend Data, JournalFile Journal, ChunkNotes Notes)> RecoverAsync(
        DirectoryCacheOptions options, ICacheFile file, bool hasData)
    {
        string name = options.Files.Name;
        var (header, _) = await JournalScan.ReadHeaderAsync(file, name);
        Compare(header, options);
        var summary = await JournalScan.ReadAsync(file, name, options.BootId);
        bool wasPowerLost = !summary.IsClosed && (summary.HasFault || summary.Header.BootId != options.BootId);
        var notes = await JournalScan.ReplayAsync(file, summary, name, wasPowerLost);
        if (!hasData && !notes.IsEmpty)
        {
            throw new BackendException(
                BackendError.Corrupt, $"The cache {name} has lost its file '{DirectoryChunkCache.DataName}'; delete the directory to start anew.");
        }

        var data = hasData ? await options.Files.OpenDataAsync(DirectoryChunkCache.DataName, options.Length) : await CreateDataAsync(options);
        try
        {
            await SettleAsync(data, file, summary);
            return (data, await JournalFile.CreateAsync(options.Files, Header(options, summary.Header.Generation + 1), notes), notes);
        }
        catch
        {
            await data.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Makes durable what a killed process wrote, before a journal says that it is. A failure is kept in the old journal: the system tells it once.
    /// </summary>
    private static async ValueTask SettleAsync(IBackend data, ICacheFile file, JournalSummary summary)
    {
        if (summary.IsClosed)
            return;
        try
        {
            await data.FlushAsync();
        }
        catch (BackendException)
        {
            var journal = await JournalFile.ContinueAsync(file, summary);
            var fault = new ArrayBufferWriter<byte>();
            JournalRecord.Write(fault, RecordKind.Fault);
            await journal.AppendAsync(fault.WrittenMemory);
            await journal.FlushAsync();
            throw;
        }
    }

    private static async ValueTask<IBackend> CreateDataAsync(DirectoryCacheOptions options)
    {
        var data = await options.Files.OpenDataAsync(DirectoryChunkCache.DataName, options.Length);
        try
        {
            await options.Files.SyncNamesAsync();
            return data;
        }
        catch
        {
            await data.DisposeAsync();
            throw;
        }
    }

    private static void Compare(JournalHeader header, DirectoryCacheOptions options)
    {
        string? has = null;
        string? wanted = null;
        if (header.Remote != options.Remote)
            (has, wanted) = (header.Remote, options.Remote);
        else if (header.Length != options.Length)
            (has, wanted) = ($"{header.Length} bytes", $"{options.Length}");
        else if (header.ChunkSize != options.ChunkSize)
            (has, wanted) = ($"chunks of {header.ChunkSize} bytes", $"{options.ChunkSize}");
        if (has is not null)
        {
            throw new BackendException(
                BackendError.Invalid,
                $"{options.Files.Name} is a cache of {has}, not of {wanted}; give another directory, or delete this one: what was not pushed from it is then lost.");
        }
    }
}
