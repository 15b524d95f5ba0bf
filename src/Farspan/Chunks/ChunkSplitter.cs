namespace Farspan.Chunks;

/// <summary>Cuts a range into pieces: runs of whole chunks of at most a given length, and a part of a chunk at either end.</summary>
internal struct ChunkSplitter(ChunkLayout layout, long offset, long length, long maximumRun)
{
    private readonly long _end = offset + length;
    private readonly long _maximumRun = maximumRun;
    private readonly ChunkLayout _layout = layout;
    private long _position = offset;

    /// <summary>Cuts off the next piece; false at the end.</summary>
    public bool TryTake(out ChunkPiece piece)
    {
        if (_position >= _end)
        {
            piece = default;
            return false;
        }

        long start = _layout.AlignDown(_position);
        long wholeEnd = _end == _layout.Length ? _end : _layout.AlignDown(_end);
        piece = start == _position && wholeEnd > _position
            ? new ChunkPiece(_position, Math.Min(_maximumRun, wholeEnd - _position), IsWhole: true)
            : new ChunkPiece(_position, Math.Min(_end - start, _layout.ChunkSize) - (_position - start), IsWhole: false);
        _position += piece.Length;
        return true;
    }
}
