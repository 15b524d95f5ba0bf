using System.Buffers.Binary;
using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Mounts.Caching;

namespace Farspan.Migration;

/// <summary>Keeps the record of a region in a directory that this process holds. One call at a time.</summary>
/// <remarks>
/// <para>A file of two slots, 4096 bytes apart. The newer record counts; the next one goes into the other slot, which costs one flush of bytes that have their place,
/// while a program stands still. A slot is one sector of a disk, which a loss of power leaves as it was or as it should be. One that is neither is damaged: nothing is
/// assumed then, for what the other slot says may be old.</para>
/// <code>
///  0 64  a <see cref="RegionRecord"/>
/// 64  8  number, which each write raises; a slot of zeroes was never written
/// 72  4  0
/// 76  4  CRC-32C of bytes 0 to 75
/// </code>
/// <para>After a write that failed, and at a start, nobody knows what is durable: then the file is replaced by a new one, as a whole.</para>
/// </remarks>
internal sealed class RegionRecordFile(ICacheFiles files)
{
    /// <summary>The file's name in the directory.</summary>
    public const string Name = "region";

    /// <summary>Bytes of the file.</summary>
    public const int Size = 2 * SlotSpan;

    private const string UnfinishedName = "region.new";
    private const int SlotSpan = 4096;
    private const int SlotSize = 80;
    private const int Checked = SlotSize - 4;

    private long _number;
    private bool _isDurable;

    /// <inheritdoc cref="ReadAsync()"/>
    public static ValueTask<RegionRecord> ReadAsync(ICacheFiles files) => new RegionRecordFile(files).ReadAsync();

    /// <summary>The record in the bytes of a file; false where it is damaged.</summary>
    public static bool TryRead(ReadOnlySpan<byte> file, out RegionRecord record) => TryRead(file, out record, out _);

    /// <summary>
    /// What is kept, and durable from now on; role None where nothing is. A process that was killed may have left what a loss of power would still take back: who
    /// believed it would tell others what is not so any more.
    /// </summary>
    /// <exception cref="BackendException">
    /// It failed, or the record is damaged (<see cref="BackendError.Corrupt"/>): then nobody knows who owns the region, and nothing is assumed.
    /// </exception>
    public async ValueTask<RegionRecord> ReadAsync()
    {
        _isDurable = false;
        await files.SyncNamesAsync();
        if (!(await files.ListAsync()).Contains(Name))
            return default;
        RegionRecord record;
        await using (var file = await files.OpenAsync(Name))
        {
            byte[] bytes = new byte[Math.Min(file.Length, Size + 1)];
            await file.ReadAsync(0, bytes);
            if (!TryRead(bytes, out record, out _number))
            {
                throw new BackendException(
                    BackendError.Corrupt, $"The file {Name} in {files.Name} is damaged, so that nobody knows who owns the region; ask the other host before you delete it.");
            }
        }

        await ReplaceAsync(record);
        return record;
    }

    /// <summary>Keeps it; durable when this returns. A crash before leaves what was kept before, or this.</summary>
    /// <exception cref="BackendException">It failed; which of the two is kept is not known until a later call returns.</exception>
    public async ValueTask WriteAsync(RegionRecord record)
    {
        if (record.Role == RegionRole.None)
        {
            _isDurable = false;
            if ((await files.ListAsync()).Contains(Name))
                await files.DeleteAsync(Name);
            await files.SyncNamesAsync();
        }
        else if (_isDurable)
        {
            _isDurable = false;
            byte[] slot = new byte[SlotSize];
            WriteSlot(slot, record, ++_number);
            await using (var file = await files.OpenAsync(Name))
            {
                await file.WriteAsync(_number % 2 * SlotSpan, slot);
                await file.FlushAsync();
            }

            _isDurable = true;
        }
        else
        {
            await ReplaceAsync(record);
        }
    }

    private static bool TryRead(ReadOnlySpan<byte> file, out RegionRecord record, out long number)
    {
        record = default;
        number = 0;
        if (file.Length != Size)
            return false;
        for (int at = 0; at < Size; at += SlotSpan)
        {
            var slot = file.Slice(at, SlotSize);
            if (!slot.ContainsAnyExcept((byte)0))
                continue;
            if (Crc32C.Compute(slot[..Checked]) != BinaryPrimitives.ReadUInt32LittleEndian(slot[Checked..]) || !RegionRecord.TryRead(slot[..RegionRecord.Size], out var found))
                return false;
            long its = BinaryPrimitives.ReadInt64LittleEndian(slot[RegionRecord.Size..]);
            if (its > number)
                (record, number) = (found, its);
        }

        return number > 0;
    }

    private static void WriteSlot(Span<byte> slot, RegionRecord record, long number)
    {
        slot = slot[..SlotSize];
        record.Write(slot);
        BinaryPrimitives.WriteInt64LittleEndian(slot[RegionRecord.Size..], number);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[Checked..], Crc32C.Compute(slot[..Checked]));
    }

    // All of the new file has its place on the disk before it has the name.
    private async ValueTask ReplaceAsync(RegionRecord record)
    {
        byte[] bytes = new byte[Size];
        _number++;
        WriteSlot(bytes.AsSpan((int)(_number % 2 * SlotSpan)), record, _number);
        await using (var file = await files.CreateAsync(UnfinishedName))
        {
            await file.WriteAsync(0, bytes);
            await file.FlushAsync();
        }

        await files.RenameAsync(UnfinishedName, Name);
        await files.SyncNamesAsync();
        _isDurable = true;
    }
}
