using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>Makes replies and posts them to the outbox. Any thread; the methods that write into the batch say otherwise.</summary>
internal sealed class Replies
{
    /// <summary>Descriptors in one block status reply, of all its contexts together, 64 KiB of them at most: the client asks again from where they end.</summary>
    public const int LargestExtentCount = 4095;

    private const int LargestMessage = 1024;

    private static readonly Fault UnusableStatus = new(NbdErrno.Io, "the backend gave no usable status");

    private readonly Outbox _outbox;
    private readonly BufferPool _pool;
    private readonly Flight _flight;

    public Replies(Outbox outbox, BufferPool pool, Flight flight, HeaderMode mode)
    {
        _outbox = outbox;
        _pool = pool;
        _flight = flight;
        Mode = mode;
    }

    public HeaderMode Mode { get; }

    /// <summary>Success, into the batch. The connection's thread only.</summary>
    public void BatchSuccess(in RequestHeader request)
        => _outbox.Commit(ReplyFormat.Success(_outbox.Reserve(ReplyFormat.LargestHead), Mode, request));

    /// <summary>Data that are at hand, into the batch. The connection's thread only.</summary>
    public void BatchData(in RequestHeader request, ReadOnlySpan<byte> data)
    {
        var place = _outbox.Reserve(ReplyFormat.LargestHead + data.Length);
        int head = ReplyFormat.DataHead(place, Mode, request, request.Offset, data.Length, done: true);
        data.CopyTo(place[head..]);
        _outbox.Commit(head + data.Length);
    }

    /// <summary>A hole within a read, into the batch. The connection's thread only.</summary>
    public void BatchHole(in RequestHeader request, long offset, long length)
        => _outbox.Commit(ReplyFormat.Hole(_outbox.Reserve(ReplyFormat.LargestHead), Mode, request, (ulong)offset, checked((uint)length)));

    /// <summary>An error, into the batch. The connection's thread only.</summary>
    public void BatchFault(in RequestHeader request, in Fault fault)
    {
        Span<byte> text = stackalloc byte[LargestMessage];
        int length = MessageBytes(fault, text);
        var place = _outbox.Reserve(ReplyFormat.ErrorSize(Mode, length, hasOffset: false));
        _outbox.Commit(ReplyFormat.Error(place, Mode, request, fault.Error, text[..length]));
    }

    /// <summary>Data on loan. The connection's thread only.</summary>
    public void SendLent(in RequestHeader request, long offset, LentMemory lent, bool isWhole)
    {
        Span<byte> head = stackalloc byte[ReplyFormat.LargestHead];
        int length = ReplyFormat.DataHead(head, Mode, request, (ulong)offset, lent.Memory.Length, isWhole);
        _outbox.SendLent(head[..length], lent);
    }

    public void PostSuccess(in RequestHeader request)
    {
        var message = _outbox.Rent();
        message.HeadLength = ReplyFormat.Success(message.Head, Mode, request);
        message.EndsOperation = true;
        _outbox.Post(message);
    }

    /// <summary>Data in a buffer, with the caller's reference; as the whole reply, which ends the request, or as one chunk of several.</summary>
    public void PostData(in RequestHeader request, ulong offset, PooledBuffer buffer, int bufferOffset, int length, bool isWhole)
    {
        var message = _outbox.Rent();
        message.HeadLength = ReplyFormat.DataHead(message.Head, Mode, request, offset, length, isWhole);
        message.SetBody(buffer, bufferOffset, length);
        message.EndsOperation = isWhole;
        _outbox.Post(message);
    }

    public void PostFault(in RequestHeader request, in Fault fault) => PostFault(request, fault, offset: null);

    /// <summary>The error of a part of a structured read, which goes on.</summary>
    public void PostPartFault(in RequestHeader request, in Fault fault, ulong offset) => PostFault(request, fault, offset);

    /// <summary>What the backend says of one context, from the request's offset on; a fault where it gave what cannot be.</summary>
    public Fault? TryPostBlockStatus(in RequestHeader request, StatusAnswer answer, bool isLast)
    {
        int count = answer.Count;
        if (count == 0 || count > answer.Limit)
            return UnusableStatus;
        bool extended = Mode == HeaderMode.Extended;
        int size = BlockStatusChunk.HeadSize(extended) + (BlockStatusChunk.DescriptorSize(extended) * count);
        var buffer = Rent(size);
        var place = buffer.Array.AsSpan(0, size);
        BlockStatusChunk.WriteHead(place, extended, answer.Context.Id, count);
        place = place[BlockStatusChunk.HeadSize(extended)..];
        long at = (long)request.Offset;
        long end = at + answer.Length;
        for (int i = 0; i < count; i++)
        {
            var run = answer[i];
            if (run.Offset != at || run.Length <= 0 || run.Length > end - at)
            {
                buffer.Release();
                return UnusableStatus;
            }

            BlockStatusChunk.WriteDescriptor(place, extended, (ulong)run.Length, run.Flags);
            place = place[BlockStatusChunk.DescriptorSize(extended)..];
            at += run.Length;
        }

        var message = _outbox.Rent();
        message.HeadLength = ReplyFormat.Chunk(
            message.Head, Mode, request, isLast ? NbdChunkFlags.Done : NbdChunkFlags.None,
            extended ? NbdChunkType.BlockStatusExtended : NbdChunkType.BlockStatus, (ulong)size);
        message.SetBody(buffer, 0, size);
        message.EndsOperation = isLast;
        _outbox.Post(message);
        return null;
    }

    /// <summary>A buffer that counts among what the connection holds, so that a client who takes no replies is soon not asked for more.</summary>
    private PooledBuffer Rent(int size)
    {
        var buffer = _pool.Rent(size);
        buffer.Charge(_flight);
        return buffer;
    }

    private void PostFault(in RequestHeader request, in Fault fault, ulong? offset)
    {
        Span<byte> text = stackalloc byte[LargestMessage];
        int length = MessageBytes(fault, text);
        var buffer = Rent(ReplyFormat.ErrorSize(Mode, length, offset is not null));
        int size = ReplyFormat.Error(buffer.Array, Mode, request, fault.Error, text[..length], offset);
        var message = _outbox.Rent();
        message.SetBody(buffer, 0, size);
        message.EndsOperation = offset is null;
        _outbox.Post(message);
    }

    /// <summary>As much of the message as fits, ending at a whole character.</summary>
    private static int MessageBytes(in Fault fault, Span<byte> destination)
    {
        Encoding.UTF8.GetEncoder().Convert(fault.Message, destination, flush: true, out _, out int length, out _);
        return length;
    }
}
