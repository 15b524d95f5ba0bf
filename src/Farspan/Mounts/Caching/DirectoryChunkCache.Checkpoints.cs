using System.Buffers;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Mounts.Caching;

internal sealed partial class DirectoryChunkCache
{
    private readonly Lock _roundGate = new();
    private readonly Task _checkpoints;
    private TaskCompletionSource<Exception?>? _nextRound;
    private Task _lastRound = Task.CompletedTask;
    private volatile TaskCompletionSource _wanted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile TaskCompletionSource _due = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _compactAt;
    private long _bytesSince;
    private volatile bool _isClosing;

    /// <inheritdoc/>
    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        await CheckpointAsync();
    }

    /// <summary>Makes durable what was written and noted before. Those who ask while one runs share the next.</summary>
    private async ValueTask CheckpointAsync()
    {
        TaskCompletionSource<Exception?> round;
        Task? before = null;
        lock (_roundGate)
        {
            if (_nextRound is null)
            {
                _nextRound = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
                before = _lastRound;
                _lastRound = _nextRound.Task;
            }

            round = _nextRound;
        }

        if (before is null)
        {
            if (await round.Task is { } failure)
                throw failure;
            return;
        }

        await before;
        lock (_roundGate)
            _nextRound = null;
        Exception? error = null;
        try
        {
            await RunCheckpointAsync();
        }
        catch (Exception failure)
        {
            error = failure;
            throw;
        }
        finally
        {
            round.SetResult(error);
        }
    }

    /// <summary>
    /// The data first, then the notes that speak of it and a record that the dirty ranges before are durable, then the journal; at last the space
    /// of chunks that are durably forgotten.
    /// </summary>
    private async ValueTask RunCheckpointAsync()
    {
        ThrowIfFaulted();
        List<(long Index, PendingNote Note)> settling;
        long covered;
        bool isRecordDue;
        lock (_gate)
        {
            Interlocked.Exchange(ref _bytesSince, 0);

            // A chunk with an intent is not whole before that has been written.
            settling = [.. _pending.Where(note => !_intents.ContainsKey(note.Key)).Select(note => (note.Key, note.Value))];
            settling.Sort((left, right) => left.Index.CompareTo(right.Index));
            covered = _journal.NextSequence;
            isRecordDue = settling.Count != 0 || _notes.HasUnsettled;
            _notes.BeginCheckpoint();
        }

        try
        {
            await _data.FlushAsync();
        }
        catch (BackendException failure)
        {
            throw await FaultAsync(failure, isDataInDoubt: true);
        }

        BackendException? unsettled = isRecordDue ? await TrySettleAsync(settling, covered) : null;
        var forgotten = new RangeSet();
        lock (_gate)
            forgotten.Add(_givenUp);
        try
        {
            if (_journal.IsUnsynced)
                await _journal.FlushAsync();
        }
        catch (BackendException failure)
        {
            throw await FaultAsync(failure, isDataInDoubt: false);
        }

        await TrimAsync(forgotten);
        if (unsettled is not null)
            throw unsettled;
        if (_journal.Length > _compactAt)
            await _turns.RunAloneAsync(CompactAsync);
    }

    /// <summary>Writes the notes; a failure waits until space has been given back, since that may be what is missing.</summary>
    private async ValueTask<BackendException?> TrySettleAsync(List<(long Index, PendingNote Note)> settling, long covered)
    {
        try
        {
            await _turns.RunAloneAsync(() => SettleAsync(settling, covered));
            return null;
        }
        catch (BackendException failure)
        {
            return failure;
        }
    }

    /// <summary>Writes the notes whose data is durable now.</summary>
    private async ValueTask SettleAsync(List<(long Index, PendingNote Note)> settling, long covered)
    {
        var records = new ArrayBufferWriter<byte>();
        uint[] checksums = new uint[Math.Min(settling.Count, JournalRecord.LongestRun)];
        for (int next = 0; next < settling.Count;)
        {
            lock (_gate)
            {
                while (next < settling.Count && records.WrittenCount < SnapshotRecords.EnoughBytes)
                    next = WriteRun(records, settling, next, checksums);
            }

            if (records.WrittenCount >= SnapshotRecords.EnoughBytes)
            {
                await AppendAsync(records.WrittenMemory);
                records.ResetWrittenCount();
            }
        }

        JournalRecord.Write(records, RecordKind.Checkpoint, covered);
        await AppendAsync(records.WrittenMemory);
        lock (_gate)
        {
            foreach (var (index, note) in settling)
            {
                if (_pending.TryGetValue(index, out var pending) && pending == note && !_intents.ContainsKey(index))
                    _pending.Remove(index);
            }
        }
    }

    /// <summary>Writes one record of adjacent chunks whose notes are still as they were when the data was made durable; where it goes on.</summary>
    private int WriteRun(ArrayBufferWriter<byte> records, List<(long Index, PendingNote Note)> settling, int first, uint[] checksums)
    {
        if (!IsStillTrue(settling[first]))
            return first + 1;
        bool isClean = settling[first].Note.Checksum is not null;
        int count = 0;
        for (int at = first; at < settling.Count && count < checksums.Length; at++, count++)
        {
            var (index, note) = settling[at];
            if (index != settling[first].Index + count || note.Checksum is not null != isClean || !IsStillTrue(settling[at]))
                break;
            checksums[count] = note.Checksum.GetValueOrDefault();
        }

        if (isClean)
            JournalRecord.WriteChecksums(records, RecordKind.Clean, settling[first].Index, checksums.AsSpan(0, count));
        else
            JournalRecord.Write(records, RecordKind.Whole, settling[first].Index, count);
        return first + count;
    }

    private bool IsStillTrue((long Index, PendingNote Note) settling)
        => _pending.TryGetValue(settling.Index, out var pending) && pending == settling.Note && !_intents.ContainsKey(settling.Index);

    /// <summary>Replaces the journal by a short one. It fails without harm, where there is no space say, and is tried again when it has grown.</summary>
    private async ValueTask CompactAsync()
    {
        try
        {
            ThrowIfFaulted();
            var journal = await JournalFile.CreateAsync(_options.Files, CacheOpening.Header(_options, _journal.Generation + 1), _notes);
            var old = _journal;
            lock (_gate)
                _journal = journal;
            _compactAt = CompactionLimit(journal);
            await old.DisposeAsync();
        }
        catch (JournalInDoubtException failure)
        {
            throw Fault(failure, isDataInDoubt: false);
        }
        catch (BackendException) when (_fault is null)
        {
            _compactAt = 2 * _journal.Length;
        }
    }

    private long CompactionLimit(JournalFile journal) => Math.Max(_options.CompactionBytes, 4 * journal.SnapshotLength);

    /// <summary>Makes checkpoints while there is something to make durable.</summary>
    private async Task RunCheckpointsAsync()
    {
        while (true)
        {
            await _wanted.Task;
            if (_isClosing)
                return;
            await using (_options.Clock.CreateTimer(_ => _due.TrySetResult(), state: null, _options.CheckpointInterval, Timeout.InfiniteTimeSpan))
                await _due.Task;
            lock (_roundGate)
            {
                if (_isClosing)
                    return;
                _due = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _wanted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            try
            {
                await CheckpointAsync();
            }
            catch (BackendException)
            {
                // Told to the next flush, or gone by then. After a fault there is nothing more to do.
                if (_fault is not null)
                    return;
                WantCheckpoint();
            }
        }
    }

    private void WantCheckpoint() => _wanted.TrySetResult();

    private void CountBytes(long count)
    {
        if (Interlocked.Add(ref _bytesSince, count) >= _options.CheckpointBytes)
            _due.TrySetResult();
    }

    private async ValueTask CloseAsync()
    {
        lock (_roundGate)
        {
            _isClosing = true;
            _wanted.TrySetResult();
            _due.TrySetResult();
        }

        await _checkpoints;
        await CheckpointAsync();
        await _turns.RunAloneAsync(async () =>
        {
            var closed = new ArrayBufferWriter<byte>();
            JournalRecord.Write(closed, RecordKind.Closed);
            await AppendAsync(closed.WrittenMemory);
        });
        await _journal.FlushAsync();
    }
}
