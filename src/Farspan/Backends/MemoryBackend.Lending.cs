namespace Farspan.Backends;

/// <content>Stored bytes where they lie, to read and to write.</content>
public sealed partial class MemoryBackend
{
    /// <inheritdoc/>
    public bool TryLend(long offset, int length, out LentMemory lent)
    {
        Check(offset, length);
        lent = default;
        if (length == 0)
            return false;
        (int index, int at, length) = Locate(offset, length);
        if (Hold(index) is not { } block)
            return false;
        length = block.RunLength(at, length, out bool written);
        if (!written)
        {
            block.Release();
            return false;
        }

        lent = new LentMemory(block.Slice(at, length), block, ticket: 0);
        return true;
    }

    /// <inheritdoc/>
    public bool TryOpen(long offset, int length, out OpenMemory open)
    {
        Check(offset, length);
        open = default;
        if (length == 0)
            return false;
        (int index, int at, length) = Locate(offset, length);
        var block = Hold(index) ?? HoldNew(index);
        open = new OpenMemory(block.SliceToWrite(at, length), block, MemoryBlock.WriteTicket(at, length));
        return true;
    }
}
