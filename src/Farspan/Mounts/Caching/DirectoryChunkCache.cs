using System.Buffers;
using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Mounts.Caching;

/// <summary>
/// A cache in a directory: a sparse data file, in which each chunk has its own place, and a journal of notes with checksums. It outlives
/// crashes of the process and of the machine. Thread-safe, as <see cref="IChunkCache"/> asks for.
/// </summary>
/// <remarks>
/// What is written to the journal when, and why, is docs/decisions/0070. In short: a chunk that is whole is noted dirty before its bytes change;
/// a chunk that is not is noted dirty after its bytes were written, so that a note never speaks of bytes that are not there; notes that add
/// something wait for the next checkpoint, which makes the data durable first.
/// </remarks>
internal sealed partial class DirectoryChunkCache : IChunkCache
{
    /// <summary>The data file's name in its directory.</summary>
    public const string DataName = "data";

    private readonly DirectoryCacheOptions _options;
    private readonly IBackend _data;
    private readonly ITrim? _trim;
    private readonly ChunkNotes _notes;
    private readonly ChunkLayout _layout;
    private readonly TurnQueue _turns;
    private readonly Lock _gate = new();

    // What a chunk that is not whole is about to be written with; noted as dirty once that has been done.
    private readonly Dictionary<long, RangeSet> _intents = [];

    // Notes that wait for the next checkpoint.
    private readonly Dictionary<long, PendingNote> _pending = [];
    private JournalFile _journal;
    private long _noteVersion;
    private volatile bool _isDisposed;

    private DirectoryChunkCache(DirectoryCacheOptions options, IBackend data, JournalFile journal, ChunkNotes notes, CacheLease? lease)
    {
        _keptLease = lease;
        Lease = lease ?? CacheLease.CreateNew();
        _options = options;
        _data = data;
        _trim = data.GetCapability<ITrim>();
        _journal = journal;
        _notes = notes;
        _layout = notes.Layout;
        _turns = new TurnQueue(SnapshotRecords.EnoughBytes, AppendAsync);
        _compactAt = CompactionLimit(journal);
        _checkpoints = RunCheckpointsAsync();
    }

    /// <inheritdoc/>
    public long Length => _layout.Length;

    /// <inheritdoc/>
    public int ChunkSize => _layout.ChunkSize;

    /// <inheritdoc/>
    public bool IsDurable => true;

    /// <inheritdoc/>
    public IEnumerable<RecoveredChunk> Recovered => RecoveredChunks.List(_notes);

    /// <inheritdoc/>
    public IEnumerable<(long FirstChunk, long Count)> RecoveredZeroes => RecoveredChunks.ListZeroes(_notes);

    /// <summary>Opens a directory, or sets up an empty one.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its bounds.</exception>
    /// <exception cref="BackendException">The directory is of another remote, length, chunk size or format, is damaged, or failed.</exception>
    public static async ValueTask<DirectoryChunkCache> OpenAsync(DirectoryCacheOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        try
        {
            options.Validate();
            var lease = await CacheLease.ReadAsync(options.Files);
            var (data, journal, notes) = await CacheOpening.OpenAsync(options);
            return new DirectoryChunkCache(options, data, journal, notes, lease);
        }
        catch
        {
            await options.Files.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        ThrowIfDataIsInDoubt();
        var read = _data.ReadAsync(offset, buffer, cancellationToken);
        return read.IsCompletedSuccessfully && !_isDataInDoubt ? read : ReadToTheEndAsync(read);
    }

    /// <summary>A read that a failed sync overtook may have seen what that has lost.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadToTheEndAsync(ValueTask read)
    {
        await read;
        ThrowIfDataIsInDoubt();
    }

    /// <inheritdoc/>
    public ValueTask NoteDirtyAsync(long chunkIndex, int start, int length, CancellationToken cancellationToken)
    {
        CheckNote(chunkIndex, 1);
        int end = checked(start + length);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(end, _layout.LengthOf(chunkIndex), nameof(length));
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        if (length == 0)
            return default;
        lock (_gate)
        {
            ThrowIfFaulted();
            bool isPending = _pending.ContainsKey(chunkIndex);
            bool isWhole = _notes.IsWhole(chunkIndex);
            if (!isPending && _notes.IsDirty(chunkIndex, start, end))
                return default;

            // A note that waits to say that the chunk is clean is true no more. A checkpoint under way may still write it: before this record.
            if (isPending && isWhole)
                _pending.Remove(chunkIndex);
            else if (isPending)
                _pending[chunkIndex] = new PendingNote(Checksum: null, ++_noteVersion);

            // Bytes that are not here must not be noted before they are; a chunk about to be noted as whole has them all, but for intents.
            if (!isWhole && (!isPending || _intents.ContainsKey(chunkIndex)))
            {
                // What was zero is so until all of it has been written.
                if (_notes.IsZero(chunkIndex))
                    Intend(chunkIndex, 0, _layout.LengthOf(chunkIndex));
                else
                    Intend(chunkIndex, start, end);
                return default;
            }
        }

        var record = new ArrayBufferWriter<byte>(JournalRecord.HeaderLength + 8);
        JournalRecord.WriteDirty(record, chunkIndex, [(start, end)]);
        return _turns.AddAsync(record.WrittenSpan);
    }

    /// <inheritdoc/>
    public void NoteClean(long chunkIndex, uint checksum)
    {
        CheckNote(chunkIndex, 1);
        lock (_gate)
            _pending[chunkIndex] = new PendingNote(checksum, ++_noteVersion);
        WantCheckpoint();
    }

    /// <inheritdoc/>
    public void NoteWhole(long chunkIndex)
    {
        CheckNote(chunkIndex, 1);
        lock (_gate)
        {
            if (_notes.IsWhole(chunkIndex))
                return;
            _pending[chunkIndex] = new PendingNote(Checksum: null, ++_noteVersion);
        }

        WantCheckpoint();
    }

    /// <inheritdoc/>
    public ValueTask NoteZeroAsync(long firstChunk, long count, CancellationToken cancellationToken)
        => ForgetAsync(RecordKind.Zero, firstChunk, count, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DiscardAsync(long firstChunk, long count, CancellationToken cancellationToken)
        => ForgetAsync(RecordKind.Discard, firstChunk, count, cancellationToken);

    /// <summary>Makes everything durable, says in the journal that this was so, and lets go of the directory.</summary>
    /// <exception cref="BackendException">What was written since the last flush may not be durable.</exception>
    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
            return;
        _isDisposed = true;
        try
        {
            await CloseAsync();
        }
        finally
        {
            await _journal.DisposeAsync();
            await _data.DisposeAsync();
            await _options.Files.DisposeAsync();
        }
    }

    /// <summary>Appends records and does what they say: the notes are always those of the journal.</summary>
    private async ValueTask AppendAsync(ReadOnlyMemory<byte> records)
    {
        try
        {
            ThrowIfFaulted();
            await _journal.AppendAsync(records);
        }
        catch (JournalInDoubtException failure)
        {
            throw Fault(failure, isDataInDoubt: false);
        }

        lock (_gate)
        {
            var rest = records.Span;
            while (JournalRecord.TryRead(ref rest, _layout, out var record))
            {
                _notes.Apply(record, areBytesTrusted: true);
                if (record.Kind == RecordKind.Checkpoint)
                    _notes.EndCheckpoint();
            }
        }

        WantCheckpoint();
    }

    /// <summary>What is noted of chunks ends, by one record; their space is given back later.</summary>
    private async ValueTask ForgetAsync(RecordKind kind, long firstChunk, long count, CancellationToken cancellationToken)
    {
        CheckNote(firstChunk, count);
        cancellationToken.ThrowIfCancellationRequested();
        bool isNoted;
        lock (_gate)
        {
            ThrowIfFaulted();

            // A checkpoint under way may still write a note that waits: the record comes after it.
            isNoted = ChunkKeys.Remove(_pending, firstChunk, count) | _notes.IsAnyKnown(firstChunk, count);
        }

        if (isNoted || kind == RecordKind.Zero)
        {
            var record = new ArrayBufferWriter<byte>(JournalRecord.HeaderLength);
            JournalRecord.Write(record, kind, firstChunk, (int)count);
            await _turns.AddAsync(record.WrittenSpan);
        }

        lock (_gate)
        {
            ChunkKeys.Remove(_intents, firstChunk, count);
            GiveUpLater(firstChunk, count);
        }

        CountBytes(count * _layout.ChunkSize);
        WantCheckpoint();
    }

    private void Intend(long chunkIndex, int start, int end)
    {
        if (!_intents.TryGetValue(chunkIndex, out var intended))
            _intents[chunkIndex] = intended = new RangeSet();
        intended.Add(start, end);
        _attention = true;
    }

    private void CheckNote(long firstChunk, long count)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(firstChunk);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _layout.ChunkCount - firstChunk);
    }
}
