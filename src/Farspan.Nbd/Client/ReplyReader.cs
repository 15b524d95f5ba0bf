using System.Buffers.Binary;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// Parses what a server sends in transmission: simple replies, and the chunks of structured replies in either form. It believes nothing: a
/// cookie must be on the way, data must lie inside the request, every byte of a read must come exactly once, lengths must fit. Blocking;
/// used by one thread.
/// </summary>
internal sealed class ReplyReader(WireReader wire, IReplyTarget target, ExportDescription export)
{
    /// <summary>The longest error chunk that is taken: fixed fields and a message of full length.</summary>
    private const int MaximumErrorLength = 14 + NbdConstants.MaximumStringLength;

    /// <summary>The longest allocation list that is taken; its entries pass through the buffer one by one.</summary>
    private const long MaximumStatusLength = 16 << 20;

    /// <summary>Reads one message.</summary>
    /// <exception cref="BackendException">The server broke the protocol.</exception>
    /// <exception cref="IOException">The stream failed, or ended (<see cref="EndOfStreamException"/>).</exception>
    public void ReadMessage()
    {
        uint magic = BinaryPrimitives.ReadUInt32BigEndian(wire.Peek(4));
        if (export.ExtendedHeaders)
        {
            if (magic != NbdConstants.ExtendedReplyMagic)
                throw WrongMagic(magic);
            ChunkHeader.TryRead(wire.Take(ChunkHeader.ExtendedSize), extended: true, out var header);
            ReadChunk(header);
        }
        else if (magic == NbdConstants.SimpleReplyMagic)
        {
            SimpleReplyHeader.TryRead(wire.Take(SimpleReplyHeader.Size), out var header);
            ReadSimple(header);
        }
        else if (magic == NbdConstants.StructuredReplyMagic && export.StructuredReplies)
        {
            ChunkHeader.TryRead(wire.Take(ChunkHeader.StructuredSize), extended: false, out var header);
            ReadChunk(header);
        }
        else
        {
            throw WrongMagic(magic);
        }
    }

    private void ReadSimple(SimpleReplyHeader header)
    {
        var slot = Find(header.Cookie);
        if (slot.HasChunk)
            throw NbdFailure.Protocol($"a simple reply followed a chunk of the same answer to {slot.Command}");
        if (header.Error != NbdErrno.Ok)
        {
            slot.Fail(header.Error, "");
        }
        else if (slot.Command == NbdCommand.Read)
        {
            if (export.StructuredReplies)
                throw NbdFailure.Protocol("it answered a read with a simple reply where structured ones were agreed");
            slot.Coverage.TryCover(0, slot.Length);
            ReadData(slot, 0, (int)slot.Length);
        }
        else if (slot.Command == NbdCommand.BlockStatus)
        {
            throw NbdFailure.Protocol("it answered a block status request without a status");
        }

        target.Finish(slot);
    }

    private void ReadChunk(ChunkHeader header)
    {
        var slot = Find(header.Cookie);
        if (export.ExtendedHeaders && header.Offset != (ulong)slot.Offset)
            throw NbdFailure.Protocol($"it answered {slot.Command} at {slot.Offset} with a chunk for offset {header.Offset}");
        slot.HasChunk = true;
        if (header.IsError)
            ReadError(slot, header);
        else
            ReadContent(slot, header);
        if (!header.IsDone)
            return;
        if (slot.Error == NbdErrno.Ok)
        {
            if (!slot.Coverage.IsComplete)
                throw NbdFailure.Protocol($"its answer to a read of {slot.Length} bytes at {slot.Offset} left out {slot.Coverage.Missing} of them");
            if (slot.Command == NbdCommand.BlockStatus && !slot.HasStatus)
                throw NbdFailure.Protocol("it answered a block status request without a status");
        }

        target.Finish(slot);
    }

    private void ReadContent(ReplySlot slot, ChunkHeader header)
    {
        switch (header.Type)
        {
            case NbdChunkType.None:
                if (header.Length != 0)
                    throw NbdFailure.Protocol($"an empty chunk has {header.Length} bytes");
                if (!header.IsDone)
                    throw NbdFailure.Protocol("an empty chunk is not the last one of its answer");
                break;
            case NbdChunkType.OffsetData:
                ReadOffsetData(slot, header.Length);
                break;
            case NbdChunkType.OffsetHole:
                ReadOffsetHole(slot, header.Length);
                break;
            case NbdChunkType.BlockStatus when !export.ExtendedHeaders:
                ReadStatus(slot, header.Length);
                break;
            case NbdChunkType.BlockStatusExtended when export.ExtendedHeaders:
                ReadStatus(slot, header.Length);
                break;
            default:
                throw NbdFailure.Protocol($"it sent a chunk of the unknown type {(ushort)header.Type}");
        }
    }

    private void ReadOffsetData(ReplySlot slot, ulong length)
    {
        RequireRead(slot);
        if (length < 9 || length - 8 > (ulong)slot.Length)
            throw NbdFailure.Protocol($"a data chunk of {length} bytes answers a read of {slot.Length} bytes");
        ulong offset = BinaryPrimitives.ReadUInt64BigEndian(wire.Take(8));
        int count = (int)(length - 8);
        ReadData(slot, Cover(slot, offset, count), count);
    }

    private void ReadOffsetHole(ReplySlot slot, ulong length)
    {
        RequireRead(slot);
        if (length != HoleChunk.Size)
            throw NbdFailure.Protocol($"a hole chunk has {length} bytes in place of {HoleChunk.Size}");
        if (!HoleChunk.TryRead(wire.Take(HoleChunk.Size), out var hole))
            throw NbdFailure.Protocol("a hole chunk tells of no bytes");
        int start = Cover(slot, hole.Offset, hole.Length);
        var buffer = target.Borrow(slot);
        if (!buffer.IsEmpty)
            buffer.Span.Slice(start, (int)hole.Length).Clear();
        target.GiveBack(slot);
    }

    /// <summary>Marks a part of a read as come; returns where it starts in the buffer.</summary>
    private static int Cover(ReplySlot slot, ulong offset, long count)
    {
        ulong start = offset - (ulong)slot.Offset;
        if (offset < (ulong)slot.Offset || start > (ulong)slot.Length || count > slot.Length - (long)start || count == 0)
            throw NbdFailure.Protocol($"it answered a read of {slot.Length} bytes at {slot.Offset} with {count} bytes at {offset}");
        if (!slot.Coverage.TryCover((long)start, count))
            throw NbdFailure.Protocol($"it sent bytes of the read of {slot.Length} bytes at {slot.Offset} twice");
        return (int)start;
    }

    private void ReadData(ReplySlot slot, int start, int count)
    {
        while (count > 0)
        {
            // All waiting is done before the buffer is borrowed: a caller who gives up has it back at once.
            wire.WaitForPayload(count);
            int length = 0;
            var buffer = target.Borrow(slot);
            try
            {
                if (!buffer.IsEmpty)
                    length = wire.ReadReady(buffer.Span.Slice(start, count));
            }
            finally
            {
                target.GiveBack(slot);
            }

            if (length == 0)
            {
                wire.Skip(count);
                return;
            }

            start += length;
            count -= length;
        }
    }

    private void ReadStatus(ReplySlot slot, ulong length)
    {
        int headerLength = BlockStatusChunk.HeadSize(export.ExtendedHeaders);
        int entryLength = BlockStatusChunk.DescriptorSize(export.ExtendedHeaders);
        if (slot.Command != NbdCommand.BlockStatus)
            throw NbdFailure.Protocol($"it answered {slot.Command} with a block status");
        if (length < (ulong)(headerLength + entryLength) || length > MaximumStatusLength || (length - (ulong)headerLength) % (ulong)entryLength != 0)
            throw NbdFailure.Protocol($"a block status has {length} bytes");
        long entries = ((long)length - headerLength) / entryLength;
        var head = wire.Take(headerLength);
        uint context = BinaryPrimitives.ReadUInt32BigEndian(head);
        bool isWanted = NoteContext(slot, context);
        if (export.ExtendedHeaders && BinaryPrimitives.ReadUInt32BigEndian(head[4..]) != entries)
            throw NbdFailure.Protocol("a block status holds another number of entries than it says");
        long position = slot.Offset;
        long end = slot.Offset + slot.Length;
        for (; entries > 0; entries--)
        {
            var entry = wire.Take(entryLength);
            ulong count = export.ExtendedHeaders ? BinaryPrimitives.ReadUInt64BigEndian(entry) : BinaryPrimitives.ReadUInt32BigEndian(entry);
            ulong flags = export.ExtendedHeaders ? BinaryPrimitives.ReadUInt64BigEndian(entry[8..]) : BinaryPrimitives.ReadUInt32BigEndian(entry[4..]);
            if (count == 0 || count > long.MaxValue)
                throw NbdFailure.Protocol($"a block status tells of {count} bytes");
            if (position >= end)
                throw NbdFailure.Protocol("a block status goes on behind the range that was asked for");

            // The last entry may reach past the range, but not by so much that the sum overflows. Bits that are not known say nothing.
            long inside = Math.Min((long)count, end - position);
            if (isWanted)
                slot.AddExtent(position, inside, (ExtentKind)(slot.MapName is null ? flags & 3 : flags & uint.MaxValue));
            position += inside;
        }
    }

    /// <summary>Notes that the status of a context comes; whether it is the one that was asked for.</summary>
    private bool NoteContext(ReplySlot slot, uint context)
    {
        int map = -1;
        for (int i = 0; i < export.StateMaps.Count; i++)
        {
            if (export.StateMaps[i].Id == context)
                map = i;
        }

        if (map < 0 && context != export.AllocationContext)
            throw NbdFailure.Protocol($"it sent the block status of context {context}, which was not agreed");
        ulong bit = 1UL << (map + 1);
        if ((slot.ToldContexts & bit) != 0)
            throw NbdFailure.Protocol("it sent the block status of one context twice");
        slot.ToldContexts |= bit;
        bool isWanted = slot.MapName == (map < 0 ? null : export.StateMaps[map].Name);
        slot.HasStatus |= isWanted;
        return isWanted;
    }

    private void ReadError(ReplySlot slot, ChunkHeader header)
    {
        bool hasOffset = header.Type == NbdChunkType.ErrorOffset;
        if (header.Length > MaximumErrorLength)
            throw NbdFailure.Protocol($"an error chunk has {header.Length} bytes");
        if (!ErrorChunk.TryRead(wire.Take((int)header.Length), hasOffset, out var error))
            throw NbdFailure.Protocol("an error chunk is malformed");
        string text = NbdFailure.ServerText(error.Message);
        if (hasOffset)
        {
            if (error.Offset < (ulong)slot.Offset || error.Offset - (ulong)slot.Offset >= (ulong)Math.Max(1, slot.Length))
                throw NbdFailure.Protocol($"it tells of an error at {error.Offset}, outside of the request");
            text = $", at {error.Offset}{text}";
        }

        slot.Fail(error.Error, text);
    }

    private static void RequireRead(ReplySlot slot)
    {
        if (slot.Command != NbdCommand.Read)
            throw NbdFailure.Protocol($"it answered {slot.Command} with data");
    }

    private ReplySlot Find(ulong cookie)
        => target.Find(cookie) ?? throw NbdFailure.Protocol($"it answered a request that is not on the way (cookie {cookie})");

    private static BackendException WrongMagic(uint magic) => NbdFailure.Protocol($"a reply starts with the magic number 0x{magic:x8}");
}
