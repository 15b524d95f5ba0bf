using System.Buffers;
using Farspan.Backends;
using Farspan.Checksums;

namespace Farspan.Mounts.Caching.Journal;

/// <summary>A journal that is written: frames go to its end. One call at a time, but for <see cref="FlushAsync"/>.</summary>
internal sealed class JournalFile : IAsyncDisposable
{
    /// <summary>The journal's name in its directory.</summary>
    public const string Name = "journal";

    /// <summary>The name of a journal that is not complete yet.</summary>
    public const string UnfinishedName = "journal.new";

    private readonly ICacheFile _file;
    private readonly long _generation;
    private long _syncedLength;

    private JournalFile(ICacheFile file, long generation, long length, long nextSequence)
    {
        _file = file;
        _generation = generation;
        Length = length;
        NextSequence = nextSequence;
    }

    /// <summary>Bytes of the header and all good frames.</summary>
    public long Length { get; private set; }

    /// <summary>Bytes that were needed for the notes alone when the journal was made.</summary>
    public long SnapshotLength { get; private init; }

    /// <summary>The number of the frame that is appended next.</summary>
    public long NextSequence { get; private set; }

    /// <summary>Which of the directory's journals this is.</summary>
    public long Generation => _generation;

    /// <summary>Whether frames were appended that are not durable.</summary>
    public bool IsUnsynced => _syncedLength != Length;

    /// <summary>Continues a journal whose frames end at <paramref name="summary"/>'s end; what follows them is cut off.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    public static async ValueTask<JournalFile> ContinueAsync(ICacheFile file, JournalSummary summary)
    {
        await file.SetLengthAsync(summary.End);
        return new JournalFile(file, summary.Header.Generation, summary.End, summary.NextSequence);
    }

    /// <summary>
    /// Writes a new journal that says what <paramref name="notes"/> say, and puts it in place of the old one. A crash leaves one or the other.
    /// </summary>
    /// <param name="files">The directory.</param>
    /// <param name="header">The header; the length of the snapshot is filled in.</param>
    /// <param name="notes">The notes; they do not change meanwhile.</param>
    /// <exception cref="JournalInDoubtException">The journal was renamed, but that may not be durable.</exception>
    /// <exception cref="BackendException">It failed, and the old journal is as it was.</exception>
    public static async ValueTask<JournalFile> CreateAsync(ICacheFiles files, JournalHeader header, ChunkNotes notes)
    {
        var file = await files.CreateAsync(UnfinishedName);
        JournalFile journal;
        try
        {
            int headerLength = header.ToBytes().Length;
            journal = new JournalFile(file, header.Generation, headerLength, nextSequence: 1);
            foreach (var payload in SnapshotRecords.Durable(notes))
                await journal.AppendAsync(payload);
            long snapshotLength = journal.Length - headerLength;
            foreach (var payload in SnapshotRecords.Unsettled(notes))
                await journal.AppendAsync(payload);
            await file.WriteAsync(0, (header with { SnapshotLength = snapshotLength }).ToBytes());
            await file.FlushAsync();
            journal = new JournalFile(file, header.Generation, journal.Length, journal.NextSequence)
            {
                SnapshotLength = snapshotLength,
                _syncedLength = journal.Length,
            };
            await files.RenameAsync(UnfinishedName, Name);
        }
        catch (BackendException)
        {
            await file.DisposeAsync();
            await TryDeleteAsync(files);
            throw;
        }

        try
        {
            await files.SyncNamesAsync();
        }
        catch (BackendException failure)
        {
            await file.DisposeAsync();
            throw new JournalInDoubtException(failure);
        }

        return journal;
    }

    /// <summary>Appends a frame; whoever waits on it knows that a killed process does not lose it.</summary>
    /// <exception cref="BackendException">It failed, and the journal is as it was, or, as <see cref="JournalInDoubtException"/>, of unknown state.</exception>
    public async ValueTask AppendAsync(ReadOnlyMemory<byte> records)
    {
        int length = FrameHeader.Size + records.Length;
        byte[] frame = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            new FrameHeader(records.Length, NextSequence, _syncedLength, Crc32C.Compute(records.Span)).Write(frame, _generation);
            records.Span.CopyTo(frame.AsSpan(FrameHeader.Size));
            await _file.WriteAsync(Length, frame.AsMemory(0, length));
        }
        catch (BackendException failure)
        {
            await CutAsync(failure);
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(frame);
        }

        Length += length;
        NextSequence++;
    }

    /// <summary>Makes all durable that was appended before.</summary>
    /// <exception cref="BackendException">It failed; what was appended may be lost.</exception>
    public async ValueTask FlushAsync()
    {
        long length = Length;
        await _file.FlushAsync();
        _syncedLength = Math.Max(_syncedLength, length);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _file.DisposeAsync();

    /// <summary>Takes away what a failed append left: a later frame must not end inside it.</summary>
    private async ValueTask CutAsync(BackendException failure)
    {
        try
        {
            await _file.SetLengthAsync(Length);
        }
        catch (BackendException)
        {
            throw new JournalInDoubtException(failure);
        }
    }

    private static async ValueTask TryDeleteAsync(ICacheFiles files)
    {
        try
        {
            await files.DeleteAsync(UnfinishedName);
        }
        catch (BackendException)
        {
            // It is overwritten the next time.
        }
    }
}
