namespace Farspan.Linux.Files;

/// <content>How bytes go in and out, in the caller's thread or in a worker's.</content>
public sealed partial class LinuxFileBackend
{
    /// <summary>The longest write that is made in the caller's thread: a longer one would hold up what else that thread serves.</summary>
    private const int LongestInlineWrite = 1 << 20;

    /// <summary>Reads in this thread, however long it takes.</summary>
    internal unsafe void ReadNow(long offset, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            if (!IsDirect || (nuint)start % (nuint)_facts.DirectMemoryAlignment == 0)
            {
                FileCalls.Read(_file, _facts.Path, start, buffer.Length, offset);
                return;
            }

            var bounce = _bounces.Take();
            for (int done = 0; done < buffer.Length;)
            {
                int length = Math.Min(bounce.Length, buffer.Length - done);
                FileCalls.Read(_file, _facts.Path, bounce.Start, length, offset + done);
                new ReadOnlySpan<byte>(bounce.Start, length).CopyTo(buffer[done..]);
                done += length;
            }

            _bounces.Return(bounce);
        }
    }

    /// <summary>Writes in this thread, however long it takes.</summary>
    internal unsafe void WriteNow(long offset, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            if (!IsDirect || (nuint)start % (nuint)_facts.DirectMemoryAlignment == 0)
            {
                FileCalls.Write(_file, _facts.Path, start, buffer.Length, offset);
                return;
            }

            var bounce = _bounces.Take();
            for (int done = 0; done < buffer.Length;)
            {
                int length = Math.Min(bounce.Length, buffer.Length - done);
                buffer.Slice(done, length).CopyTo(new Span<byte>(bounce.Start, length));
                FileCalls.Write(_file, _facts.Path, bounce.Start, length, offset + done);
                done += length;
            }

            _bounces.Return(bounce);
        }
    }

    internal void Return(FileTransfer transfer) => _transfers.Push(transfer);

    private FileTransfer Transfer() => _transfers.TryPop(out var transfer) ? transfer : new FileTransfer(this);

    /// <summary>Writes into the page cache where that does not wait; false with what is left where it would.</summary>
    private unsafe bool TryWriteInline(ref long offset, ref ReadOnlyMemory<byte> buffer)
    {
        if (_canWriteCached)
        {
            nint count;
            fixed (byte* start = buffer.Span)
                count = FileCalls.TryWriteCached(_file, _facts.Path, start, buffer.Length, offset);
            if (count == buffer.Length)
                return true;
            if (count >= 0)
            {
                offset += count;
                buffer = buffer[(int)count..];
                return false;
            }

            _canWriteCached = false;
        }

        if (buffer.Length > LongestInlineWrite || !_writeStalls.MayWriteInline)
            return false;
        long started = _writeStalls.Start();
        WriteNow(offset, buffer.Span);
        _writeStalls.End(started);
        return true;
    }
}
