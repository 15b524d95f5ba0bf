namespace Farspan.Linux.Userfaults.Agents;

/// <summary>A range that a client has mapped.</summary>
internal sealed class RangeClaim(long offset, long length, bool isWritable)
{
    private readonly long _offset = offset;
    private readonly long _length = length;
    private readonly bool _isWritable = isWritable;

    public bool Conflicts(RangeClaim other)
        => (_isWritable || other._isWritable) && _offset < other._offset + other._length && other._offset < _offset + _length;
}
