using System.Buffers;
using System.Runtime.InteropServices;
using Farspan.Backends;

namespace Farspan.FuseHost;

/// <summary>Zeroed memory outside the garbage collector's heap, of any length.</summary>
internal sealed unsafe class NativeBytes : IDisposable
{
    private readonly Piece[] _pieces;

    public NativeBytes(long length)
    {
        _pieces = new Piece[(int)((length + Piece.Size - 1) / Piece.Size)];
        for (int i = 0; i < _pieces.Length; i++)
            _pieces[i] = new Piece();
    }

    public void Read(long offset, Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var part = At(offset, buffer.Length);
            part.CopyTo(buffer);
            buffer = buffer[part.Length..];
            offset += part.Length;
        }
    }

    public void Write(long offset, ReadOnlySpan<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var part = At(offset, buffer.Length);
            buffer[..part.Length].CopyTo(part);
            buffer = buffer[part.Length..];
            offset += part.Length;
        }
    }

    public void Clear(long offset, long length)
    {
        while (length > 0)
        {
            var part = At(offset, (int)Math.Min(length, int.MaxValue));
            part.Clear();
            length -= part.Length;
            offset += part.Length;
        }
    }

    public bool IsZero(long offset, int length) => At(offset, length).IndexOfAnyExcept((byte)0) < 0;

    public LentMemory Lend(long offset, int length)
    {
        int start = (int)(offset % Piece.Size);
        return new LentMemory(_pieces[offset / Piece.Size].Memory.Slice(start, Math.Min(length, Piece.Size - start)), loan: null, 0);
    }

    public void Dispose()
    {
        foreach (IDisposable piece in _pieces)
            piece.Dispose();
    }

    private Span<byte> At(long offset, int length)
    {
        int start = (int)(offset % Piece.Size);
        return _pieces[offset / Piece.Size].GetSpan().Slice(start, Math.Min(length, Piece.Size - start));
    }

    private sealed class Piece : MemoryManager<byte>
    {
        public const int Size = 64 << 20;

        private byte* _start = (byte*)NativeMemory.AllocZeroed(Size);

        public override Span<byte> GetSpan() => new(_start, Size);

        public override MemoryHandle Pin(int elementIndex = 0) => new(_start + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
            NativeMemory.Free(_start);
            _start = null;
        }
    }
}
