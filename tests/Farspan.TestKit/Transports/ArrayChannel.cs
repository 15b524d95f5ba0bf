using Farspan.Transports;

namespace Farspan.TestKit.Transports;

/// <summary>A channel whose peer has said all it will say, and takes whatever comes; so a session runs on one thread, to its end.</summary>
internal sealed class ArrayChannel : ByteChannel
{
    private ReadOnlyMemory<byte> _input;
    private int _position;

    /// <summary>The most that one receive gives.</summary>
    public int LargestReceive { get; set; } = int.MaxValue;

    /// <summary>What it says of itself, whether it is protected.</summary>
    public bool IsSafe { get; set; } = true;

    /// <summary>Called before each receive.</summary>
    public Action? BeforeReceive { get; set; }

    /// <summary>What was sent; null where only the count matters.</summary>
    public MemoryStream? Output { get; set; } = new();

    public long SentBytes { get; private set; }

    public bool IsAborted { get; private set; }

    public void Reset(ReadOnlyMemory<byte> input)
    {
        _input = input;
        _position = 0;
        Output?.SetLength(0);
        SentBytes = 0;
        IsAborted = false;
    }

    public override int Receive(Span<byte> buffer)
    {
        BeforeReceive?.Invoke();
        int count = Math.Min(Math.Min(buffer.Length, LargestReceive), _input.Length - _position);
        _input.Span.Slice(_position, count).CopyTo(buffer);
        _position += count;
        return count;
    }

    public override bool IsProtected => IsSafe;

    public override bool KnowsInput => true;

    public override bool HasInput() => _position < _input.Length;

    public override void WaitForInput()
    {
    }

    public override void Send(ReadOnlySpan<byte> bytes)
    {
        SentBytes += bytes.Length;
        Output?.Write(bytes);
    }

    public override int SendRoom(int wanted) => int.MaxValue;

    public override Stream AsStream() => throw new NotSupportedException();

    public override void FinishSending()
    {
    }

    public override void Abort() => IsAborted = true;

    public override void Dispose()
    {
    }
}
