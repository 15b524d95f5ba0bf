using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace Farspan.Linux.Files;

/// <summary>One read or write on its way through the workers; kept for the next one, so that none is allocated in steady state.</summary>
internal sealed class FileTransfer : IFileWork, IValueTaskSource
{
    private readonly LinuxFileBackend _owner;
    private ManualResetValueTaskSourceCore<bool> _source = new() { RunContinuationsAsynchronously = true };
    private bool _isWrite;
    private long _offset;
    private Memory<byte> _buffer;
    private CancellationToken _cancellationToken;

    public FileTransfer(LinuxFileBackend owner) => _owner = owner;

    public ValueTask Task => new(this, _source.Version);

    public void SetRead(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        => (_isWrite, _offset, _buffer, _cancellationToken) = (false, offset, buffer, cancellationToken);

    public void SetWrite(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
        => (_isWrite, _offset, _buffer, _cancellationToken) = (true, offset, MemoryMarshal.AsMemory(buffer), cancellationToken);

    public void Execute()
    {
        try
        {
            _cancellationToken.ThrowIfCancellationRequested();
            if (_isWrite)
                _owner.WriteNow(_offset, _buffer.Span);
            else
                _owner.ReadNow(_offset, _buffer.Span);
            _source.SetResult(result: true);
        }
#pragma warning disable CA1031 // Whatever it is, it belongs to who waits, and the thread goes on.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _source.SetException(error);
        }
    }

    public void GetResult(short token)
    {
        try
        {
            _source.GetResult(token);
        }
        finally
        {
            _source.Reset();
            _buffer = default;
            _cancellationToken = default;
            _owner.Return(this);
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => _source.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        => _source.OnCompleted(continuation, state, token, flags);
}
