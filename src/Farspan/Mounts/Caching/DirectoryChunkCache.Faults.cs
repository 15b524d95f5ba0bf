using System.Buffers;
using Farspan.Backends;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Mounts.Caching;

/// <content>What a failed flush leaves: a cache that refuses everything, and a note of it for the next opening.</content>
internal sealed partial class DirectoryChunkCache
{
    private BackendException? _fault;
    private volatile bool _isDataInDoubt;

    private void ThrowIfFaulted()
    {
        if (_fault is { } fault)
        {
            throw new BackendException(
                fault.Error, $"The cache {_options.Files.Name} failed before and may have lost writes; mount it again. It was: {fault.Message}", fault, isTransient: false);
        }
    }

    private void ThrowIfDataIsInDoubt()
    {
        if (_isDataInDoubt)
            ThrowIfFaulted();
    }

    private BackendException Fault(BackendException failure, bool isDataInDoubt)
    {
        _fault ??= failure;
        _isDataInDoubt |= isDataInDoubt;
        return failure;
    }

    /// <summary>A flush failed: the system forgets what it could not write, so nothing is trusted until the cache is opened again.</summary>
    private async ValueTask<BackendException> FaultAsync(BackendException failure, bool isDataInDoubt)
    {
        Fault(failure, isDataInDoubt);
        try
        {
            await _turns.RunAloneAsync(async () =>
            {
                var fault = new ArrayBufferWriter<byte>();
                JournalRecord.Write(fault, RecordKind.Fault);
                await _journal.AppendAsync(fault.WrittenMemory);
                await _journal.FlushAsync();
            });
        }
        catch (BackendException)
        {
            // Whoever opens the cache finds out by its own flush, or not at all; more cannot be done on such a disk.
        }

        return failure;
    }
}
