using System.Buffers.Binary;
using Farspan.Checksums;
using Farspan.Wire.Protocol;

namespace Farspan.Backends.Leases;

/// <summary>
/// Where the last lease of a store is kept, so that epochs rise across restarts, a holder keeps its lease over one, and one that comes back
/// learns whether others could write meanwhile. Two slots are written in turn, each with a checksum: a torn write leaves the other. Without a
/// file, epochs start at the clock's microseconds, which are past those of an earlier run. Not thread-safe.
/// <code>
/// each slot of 512 bytes:
///  0  8  magic "FSEPOCH1"        8  8  epoch          16 16  session of the holder, zero once given back
/// 32 16  key of the holder, zero once somebody without a lease could write
/// 48  4  length, and 52 its bytes: who holds it      496  8  first epoch of this key without another's between
/// 508 4  CRC-32C of bytes 0 to 507
/// </code>
/// </summary>
internal sealed class EpochFile
{
    private const int SlotSize = 512;

    private readonly string? _path;
    private readonly TimeProvider _clock;
    private int _nextSlot;

    public EpochFile(string? path, TimeProvider clock)
    {
        _path = path;
        _clock = clock;
        if (path is null || !File.Exists(path))
            return;
        try
        {
            byte[] bytes = File.ReadAllBytes(path);
            for (int slot = 0; slot < 2 && bytes.Length >= (slot + 1) * SlotSize; slot++)
            {
                if (TryRead(bytes.AsSpan(slot * SlotSize, SlotSize)) is not { } record || (Last is { } last && !IsNewer(record, last)))
                    continue;
                Last = record;
                _nextSlot = 1 - slot;
            }

            // A first write that was torn was never answered; from the second on, one slot is whole.
            if (Last is null && bytes.Length > SlotSize)
                throw new BackendException(BackendError.Corrupt, $"{path} holds no lease that can be read; delete it only when no older writer can still be running.");
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            throw FileErrors.Wrap(error, $"Reading the last lease from {path} failed");
        }
    }

    /// <summary>The last lease that was given; its session is empty once it was given back.</summary>
    public LeaseRecord? Last { get; private set; }

    /// <summary>An epoch above all before.</summary>
    public long NextEpoch() => Last is { } last ? last.Epoch + 1 : (_clock.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    /// <summary>Keeps the lease; durable when it returns.</summary>
    /// <exception cref="BackendException">It cannot be written; nothing has changed.</exception>
    public void Save(LeaseRecord record)
    {
        if (_path is not null)
        {
            byte[] slot = new byte[SlotSize];
            Write(record, slot);
            try
            {
                using var file = File.OpenHandle(_path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
                RandomAccess.Write(file, slot, _nextSlot * SlotSize);
                RandomAccess.FlushToDisk(file);
            }
            catch (Exception error) when (FileErrors.IsFileError(error))
            {
                throw FileErrors.Wrap(error, $"Keeping the lease in {_path} failed");
            }

            _nextSlot = 1 - _nextSlot;
        }

        Last = record;
    }

    private static bool IsNewer(LeaseRecord record, LeaseRecord other)
        => record.Epoch > other.Epoch || (record.Epoch == other.Epoch && record.Stage > other.Stage);

    private static LeaseRecord? TryRead(ReadOnlySpan<byte> slot)
    {
        int length = BinaryPrimitives.ReadInt32LittleEndian(slot[48..]);
        if (!slot.StartsWith("FSEPOCH1"u8) || length is < 0 or > WireLimits.MaximumHolder
            || Crc32C.Compute(slot[..^4]) != BinaryPrimitives.ReadUInt32LittleEndian(slot[^4..]))
        {
            return null;
        }

        return new LeaseRecord(
            BinaryPrimitives.ReadInt64LittleEndian(slot[8..]), BinaryPrimitives.ReadInt64LittleEndian(slot[496..]), new Guid(slot.Slice(16, 16)), new Guid(slot.Slice(32, 16)),
            WireLimits.Decode(slot.Slice(52, length)) ?? "");
    }

    private static void Write(LeaseRecord record, Span<byte> slot)
    {
        "FSEPOCH1"u8.CopyTo(slot);
        BinaryPrimitives.WriteInt64LittleEndian(slot[8..], record.Epoch);
        record.Session.TryWriteBytes(slot[16..]);
        record.Key.TryWriteBytes(slot[32..]);
        byte[] holder = WireLimits.Encode(record.Holder, WireLimits.MaximumHolder);
        BinaryPrimitives.WriteInt32LittleEndian(slot[48..], holder.Length);
        holder.CopyTo(slot[52..]);
        BinaryPrimitives.WriteInt64LittleEndian(slot[496..], record.Since);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[^4..], Crc32C.Compute(slot[..^4]));
    }
}
