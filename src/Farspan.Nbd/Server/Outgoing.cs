using Farspan.Backends;

namespace Farspan.Nbd.Server;

/// <summary>
/// A message that waits to be sent: a head (the header and fixed fields), and a body, which is a part of a buffer or bytes on loan. Owned by
/// the <see cref="Outbox"/> once it is posted.
/// </summary>
internal sealed class Outgoing
{
    public const int LargestHead = 64;

    private PooledBuffer? _buffer;
    private LentMemory _lent;
    private bool _isLent;
    private int _offset;
    private int _length;

    /// <summary>The next one in the queue or the pool.</summary>
    public Outgoing? Next { get; set; }

    /// <summary>Room for the head.</summary>
    public byte[] Head { get; } = new byte[LargestHead];

    public int HeadLength { get; set; }

    /// <summary>Whether sending it ends a request of the connection's flight.</summary>
    public bool EndsOperation { get; set; }

    public int Length => HeadLength + _length;

    public ReadOnlySpan<byte> HeadBytes => Head.AsSpan(0, HeadLength);

    public ReadOnlySpan<byte> Body => _isLent ? _lent.Memory.Span : _buffer is null ? [] : _buffer.Array.AsSpan(_offset, _length);

    /// <summary>Makes a part of <paramref name="buffer"/> the body, with the caller's reference.</summary>
    public void SetBody(PooledBuffer buffer, int offset, int length)
    {
        _buffer = buffer;
        _offset = offset;
        _length = length;
    }

    /// <summary>Makes bytes on loan the body, and ends the loan once they were sent.</summary>
    public void SetBody(LentMemory lent)
    {
        _lent = lent;
        _isLent = true;
        _length = lent.Memory.Length;
    }

    /// <summary>Gives the body back and forgets everything.</summary>
    public void Clear()
    {
        _buffer?.Release();
        _buffer = null;
        if (_isLent)
            _lent.Dispose();
        _lent = default;
        _isLent = false;
        _offset = 0;
        _length = 0;
        HeadLength = 0;
        EndsOperation = false;
    }
}
