using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Mounts.Caching.Journal;

/// <summary>Reads a journal: first all of it, to know how it ends and how far it can be trusted; then again, to do what it says.</summary>
/// <remarks>Whatever the bytes are, the outcome is notes that were true, or a <see cref="BackendException"/>.</remarks>
internal static class JournalScan
{
    private const string WhatToDo = "push what can be pushed from a copy of it, or delete the directory: writes that were not pushed are then lost";

    /// <summary>Reads the header.</summary>
    /// <exception cref="BackendException">There is none, it is damaged, or of another version.</exception>
    public static async ValueTask<(JournalHeader Header, int Length)> ReadHeaderAsync(ICacheFile file, string name)
    {
        if (file.Length < JournalHeader.PrefixLength)
            throw Damaged(name, "it is too short");
        byte[] prefix = new byte[JournalHeader.PrefixLength];
        await file.ReadAsync(0, prefix);
        if (!JournalHeader.TryReadPrefix(prefix, out int version, out int length) || length > file.Length)
            throw Damaged(name, "its header is none");
        if (version != JournalHeader.Version)
        {
            throw new BackendException(
                BackendError.NotSupported,
                $"The cache {name} is of format {version}, and this program knows format {JournalHeader.Version}; use the program that made it.");
        }

        byte[] bytes = new byte[length];
        await file.ReadAsync(0, bytes);
        return (JournalHeader.TryRead(bytes) ?? throw Damaged(name, "its header fails its checksum"), length);
    }

    /// <summary>Reads all frames and finds where they end.</summary>
    /// <param name="file">The journal.</param>
    /// <param name="name">The directory, for messages.</param>
    /// <param name="bootId">The present run of the operating system: within one, nothing that was written is lost.</param>
    /// <exception cref="BackendException">It is damaged.</exception>
    public static async ValueTask<JournalSummary> ReadAsync(ICacheFile file, string name, string bootId)
    {
        var (header, headerLength) = await ReadHeaderAsync(file, name);
        var layout = LayoutOf(header, name);
        var reader = new JournalReader(file, header.Generation, headerLength);
        long snapshotEnd = headerLength + header.SnapshotLength;
        long covered = 1;
        bool isClosed = false;
        bool hasFault = false;
        FrameStatus status;
        while ((status = await reader.ReadAsync()) == FrameStatus.Read)
        {
            if (isClosed)
                throw Damaged(name, "it goes on after its end");
            if (reader.Offset <= snapshotEnd)
                covered = reader.Header.Sequence + 1;
            Look(reader.Payload.Span, layout, name, ref covered, ref isClosed, ref hasFault);
        }

        if (reader.Offset < snapshotEnd)
            throw Damaged(name, $"its snapshot cannot be read at {reader.Offset}");
        if (status == FrameStatus.Damaged && (isClosed || header.BootId == bootId))
            throw Damaged(name, $"its frame at {reader.Offset} fails its checksum, which no crash of a program explains");
        if (status is FrameStatus.Damaged or FrameStatus.Short && (isClosed || await reader.IsMissingDurableFrameAsync()))
            throw Damaged(name, $"its frame at {reader.Offset} cannot be read and had been durable");
        return new JournalSummary(header, headerLength, reader.Offset, reader.Header.Sequence + 1, covered, isClosed, hasFault);
    }

    /// <summary>Reads all frames again and does what they say.</summary>
    /// <param name="file">The journal.</param>
    /// <param name="summary">What the first reading found.</param>
    /// <param name="name">The directory, for messages.</param>
    /// <param name="wasPowerLost">Whether bytes may be missing that were not durable.</param>
    /// <exception cref="BackendException">It changed since, or cannot be read.</exception>
    public static async ValueTask<ChunkNotes> ReplayAsync(ICacheFile file, JournalSummary summary, string name, bool wasPowerLost)
    {
        var notes = new ChunkNotes(LayoutOf(summary.Header, name));
        var reader = new JournalReader(file, summary.Header.Generation, summary.HeaderLength);
        while (reader.Offset < summary.End)
        {
            if (await reader.ReadAsync() != FrameStatus.Read)
                throw Damaged(name, $"its frame at {reader.Offset} cannot be read any more");
            bool areTrusted = !wasPowerLost || reader.Header.Sequence < summary.Covered;
            Apply(reader.Payload.Span, notes, areTrusted);
        }

        notes.BeginCheckpoint();
        notes.EndCheckpoint();
        if (wasPowerLost)
            notes.Distrust();
        return notes;
    }

    private static void Apply(ReadOnlySpan<byte> payload, ChunkNotes notes, bool areTrusted)
    {
        while (!payload.IsEmpty && JournalRecord.TryRead(ref payload, notes.Layout, out var record))
            notes.Apply(record, areTrusted);
    }

    private static void Look(
        ReadOnlySpan<byte> payload, ChunkLayout layout, string name, ref long covered, ref bool isClosed, ref bool hasFault)
    {
        while (!payload.IsEmpty)
        {
            if (!JournalRecord.TryRead(ref payload, layout, out var record))
                throw Damaged(name, "it holds a record that fits no chunk");
            if (record.Kind == RecordKind.Checkpoint)
                covered = Math.Max(covered, record.Index);
            isClosed |= record.Kind == RecordKind.Closed;
            hasFault |= record.Kind == RecordKind.Fault;
        }
    }

    private static ChunkLayout LayoutOf(JournalHeader header, string name)
    {
        try
        {
            var layout = new ChunkLayout(header.Length, header.ChunkSize);
            return header is { Length: > 0, SnapshotLength: >= 0 } && layout.ChunkCount <= DirectoryCacheOptions.MaximumChunks
                ? layout
                : throw Damaged(name, "its header holds impossible lengths");
        }
        catch (ArgumentOutOfRangeException)
        {
            throw Damaged(name, "its header holds impossible lengths");
        }
    }

    private static BackendException Damaged(string name, string why)
        => new(BackendError.Corrupt, $"The journal of the cache {name} is damaged ({why}); {WhatToDo}.");
}
