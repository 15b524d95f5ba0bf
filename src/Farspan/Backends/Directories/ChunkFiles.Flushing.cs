namespace Farspan.Backends.Directories;

internal sealed partial class ChunkFiles
{
    private readonly Lock _flushGate = new();
    private readonly FlushFailure _flushFailure = new();

    /// <summary>Makes every write, creation and deletion durable that completed before.</summary>
    /// <exception cref="BackendException">It failed now or an earlier time.</exception>
    public void Flush()
    {
        // One at a time: else a second flush could return while the first one still syncs what both owe.
        lock (_flushGate)
        {
            _flushFailure.ThrowIfAny(_names.Root);
            foreach (var file in TakeDirty())
                Sync(file);
            foreach (string directory in TakeChangedDirectories())
                Sync(directory);
            _flushFailure.ThrowIfAny(_names.Root);
        }
    }

    private List<ChunkFile> TakeDirty()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, typeof(DirectoryBackend));

            // What is being closed gets its fsync there, and may fail there.
            while (_files.Values.Any(file => file is { IsBusy: true, IsDirty: true }))
                Monitor.Wait(_gate);
            var dirty = _files.Values.Where(file => file.IsDirty).ToList();
            dirty.ForEach(Use);
            return dirty;
        }
    }

    private void Sync(ChunkFile file)
    {
        long written;
        lock (_gate)
            written = file.Written;
        try
        {
            Remember(() => RandomAccess.FlushToDisk(file.Handle!), _names.Chunk(file.Index));
            lock (_gate)
                file.Synced = Math.Max(file.Synced, written);
        }
        finally
        {
            Return(file, written: false);
        }
    }

    private void Sync(string directory)
    {
        if (_options.SyncDirectory is { } sync)
            Remember(() => sync(directory), directory);
    }

    /// <summary>Makes a call that makes something durable; its failure is that of this flush and of all later ones.</summary>
    private void Remember(Action call, string path)
    {
        try
        {
            call();
        }
        catch (BackendException failure)
        {
            _flushFailure.Remember(failure);
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            _flushFailure.Remember(FileErrors.Wrap(error, $"Flushing {path} failed"));
        }
    }

    private List<string> TakeChangedDirectories()
    {
        lock (_gate)
        {
            var changed = _changedDirectories.ToList();
            _changedDirectories.Clear();
            return changed;
        }
    }
}
