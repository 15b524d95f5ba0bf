using System.Buffers;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Mounts.Caching;

/// <content>The lease that the cache was used under, and what it is worth when others could write since.</content>
internal sealed partial class DirectoryChunkCache
{
    private CacheLease? _keptLease;

    /// <inheritdoc/>
    public CacheLease Lease { get; private set; }

    /// <inheritdoc/>
    public async ValueTask KeepLeaseAsync(CacheLease lease)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (_keptLease == lease)
            return;

        // Alone: a new journal is made by calls to the same directory.
        await _turns.RunAloneAsync(() => lease.WriteAsync(_options.Files));
        Lease = _keptLease = lease;
    }

    /// <inheritdoc/>
    public async ValueTask ForgetCleanAsync()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var record = new ArrayBufferWriter<byte>(JournalRecord.HeaderLength);
        JournalRecord.Write(record, RecordKind.ForgetClean, 0, (int)_layout.ChunkCount);
        await _turns.AddAsync(record.WrittenSpan);
        lock (_gate)
        {
            for (long first = 0, end; first < _layout.ChunkCount; first = end + 1)
            {
                end = _notes.NextKnown(first);
                if (end > first)
                    GiveUpLater(first, end - first);
            }
        }

        await CheckpointAsync();
    }
}
