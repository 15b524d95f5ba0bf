using Microsoft.Win32.SafeHandles;

namespace Farspan.Backends.Directories;

/// <summary>
/// The open chunk files, at most a stated number. A file is never closed or deleted under its user: who uses it is counted, and who wants it
/// gone waits. One that has writes no fsync has made durable gets one before it is closed.
/// </summary>
/// <remarks>All members may be called from any thread; they block, for the disk and for each other, and so belong on the thread pool.</remarks>
internal sealed partial class ChunkFiles
{
    private readonly object _gate = new();
    private readonly Dictionary<long, ChunkFile> _files = [];
    private readonly LinkedList<ChunkFile> _idle = new();
    private readonly HashSet<string> _changedDirectories = new(StringComparer.Ordinal);
    private readonly ChunkNames _names;
    private readonly DirectoryBackendOptions _options;
    private readonly ChunkDirectoryDescription _description;
    private readonly bool _isReadOnly;
    private bool _closed;

    public ChunkFiles(ChunkNames names, ChunkDirectoryDescription description, DirectoryBackendOptions options, bool isReadOnly)
    {
        _names = names;
        _description = description;
        _options = options;
        _isReadOnly = isReadOnly;
        Presence = new ChunkPresence(names, isReadOnly);
    }

    /// <summary>Which files exist.</summary>
    public ChunkPresence Presence { get; }

    /// <summary>The number of files that are open now.</summary>
    public int OpenCount
    {
        get
        {
            lock (_gate)
                return _files.Values.Count(file => file.Handle is not null);
        }
    }

    /// <summary>Opens a chunk's file, or takes the one that is open; null where it does not exist and is not to be created. Give it back.</summary>
    public ChunkFile? Take(long index, bool create)
    {
        ChunkFile file;
        lock (_gate)
        {
            while (true)
            {
                ObjectDisposedException.ThrowIf(_closed, typeof(DirectoryBackend));
                if (_files.TryGetValue(index, out var open))
                {
                    if (open.IsBusy)
                    {
                        Monitor.Wait(_gate);
                        continue;
                    }

                    Use(open);
                    return open;
                }

                if (!create && !Presence.Contains(index))
                    return null;
                if (_files.Count < _options.OpenFiles)
                    break;
                if (LeastRecentlyUsed() is { } victim)
                    Evict(victim);
                else
                    Monitor.Wait(_gate);
            }

            file = new ChunkFile(index) { IsBusy = true, Users = 1 };
            _files.Add(index, file);
        }

        try
        {
            file.Handle = Presence.Contains(index) ? Open(index) : Create(index);
            SetNotBusy(file);
            return file;
        }
        catch
        {
            Forget(file);
            throw;
        }
    }

    /// <summary>Gives a file back.</summary>
    /// <param name="file">The file.</param>
    /// <param name="written">Whether it was written.</param>
    public void Return(ChunkFile file, bool written)
    {
        lock (_gate)
        {
            if (written)
                file.Written++;
            if (--file.Users > 0)
                return;
            if (!file.IsBusy)
                file.Idle = _idle.AddLast(file);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Deletes a chunk's file, once nobody uses it; nothing where there is none.</summary>
    public void Delete(long index)
    {
        ChunkFile? file;
        lock (_gate)
        {
            while (_files.TryGetValue(index, out file) && file.IsBusy)
                Monitor.Wait(_gate);
            ObjectDisposedException.ThrowIf(_closed, typeof(DirectoryBackend));
            if (file is null && !Presence.Contains(index))
                return;
            if (file is null)
            {
                // It counts as one that is open, so that it blocks the chunk; it opens nothing.
                file = new ChunkFile(index);
                _files.Add(index, file);
            }

            file.IsBusy = true;
            StopIdling(file);
            while (file.Users > 0)
                Monitor.Wait(_gate);
        }

        bool deleted = false;
        try
        {
            File.Delete(_names.Chunk(index));
            Presence.Remove(index);
            deleted = true;
            AddChangedDirectory(_names.Group(index >> ChunkNames.GroupShift));
        }
        finally
        {
            // A file that could not be deleted stays open with what no fsync has made durable.
            if (deleted || file.Handle is null)
                Forget(file);
            else
                SetNotBusy(file);
        }
    }

    /// <summary>Waits for all users and closes all files.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.PulseAll(_gate);
            while (_files.Values.Any(file => file.Users > 0 || file.IsBusy))
                Monitor.Wait(_gate);
            foreach (var file in _files.Values)
                file.Handle?.Dispose();
            _files.Clear();
            _idle.Clear();
        }
    }

    private void Use(ChunkFile file)
    {
        file.Users++;
        StopIdling(file);
    }

    private void StopIdling(ChunkFile file)
    {
        if (file.Idle is { } node)
            _idle.Remove(node);
        file.Idle = null;
    }

    /// <summary>The one to close: a clean one if there is one among the oldest, as a dirty one costs an fsync.</summary>
    private ChunkFile? LeastRecentlyUsed()
    {
        int looks = 32;
        for (var node = _idle.First; node is not null && looks-- > 0; node = node.Next)
        {
            if (!node.Value.IsDirty)
                return node.Value;
        }

        return _idle.First?.Value;
    }

    /// <summary>Closes a file that nobody uses; the lock is held before and after, not meanwhile.</summary>
    private void Evict(ChunkFile file)
    {
        file.IsBusy = true;
        StopIdling(file);
        long written = file.Written;
        bool dirty = file.IsDirty;
        Monitor.Exit(_gate);
        try
        {
            // Where it fails, the next flush fails with it.
            if (dirty)
                Remember(() => RandomAccess.FlushToDisk(file.Handle!), _names.Chunk(file.Index));
        }
        finally
        {
            file.Handle!.Dispose();
            Monitor.Enter(_gate);
            file.Synced = written;
            _files.Remove(file.Index);
            Monitor.PulseAll(_gate);
        }
    }

    private SafeFileHandle Open(long index)
    {
        string path = _names.Chunk(index);
        var access = _isReadOnly ? FileAccess.Read : FileAccess.ReadWrite;
        var handle = File.OpenHandle(path, FileMode.Open, access, FileShare.ReadWrite | FileShare.Delete);
        long length = RandomAccess.GetLength(handle);
        if (length == _description.LengthOf(index))
            return handle;
        handle.Dispose();
        throw new BackendException(
            BackendError.Corrupt, $"{path} has {length} bytes where its chunk has {_description.LengthOf(index)}: it was damaged from outside.");
    }

    /// <summary>Creates a chunk's file at its full length, and only then gives it its name: it is there as a whole or not at all.</summary>
    private SafeFileHandle Create(long index)
    {
        if (!Presence.HasGroup(index))
        {
            // Owed before others can find the group: a flush after their writes must not miss its name.
            Directory.CreateDirectory(_names.Group(index >> ChunkNames.GroupShift));
            AddChangedDirectory(_names.Root);
            Presence.AddGroup(index);
        }

        string path = _names.Chunk(index);
        string unfinished = ChunkNames.Unfinished(path);
        var handle = File.OpenHandle(unfinished, FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            RandomAccess.SetLength(handle, _description.LengthOf(index));
            File.Move(unfinished, path, overwrite: true);
        }
        catch
        {
            handle.Dispose();
            File.Delete(unfinished);
            throw;
        }

        Presence.Add(index);
        AddChangedDirectory(_names.Group(index >> ChunkNames.GroupShift));
        return handle;
    }

    private void SetNotBusy(ChunkFile file)
    {
        lock (_gate)
        {
            file.IsBusy = false;
            if (file.Users == 0)
                file.Idle = _idle.AddLast(file);
            Monitor.PulseAll(_gate);
        }
    }

    private void Forget(ChunkFile file)
    {
        file.Handle?.Dispose();
        lock (_gate)
        {
            _files.Remove(file.Index);
            Monitor.PulseAll(_gate);
        }
    }

    private void AddChangedDirectory(string path)
    {
        lock (_gate)
            _changedDirectories.Add(path);
    }
}
