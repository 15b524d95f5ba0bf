using System.Runtime.CompilerServices;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <summary>One request that the backend did not answer at once: waits, and queues the reply. Used again after that.</summary>
internal sealed class WireTask
{
    private readonly WireRequests _owner;
    private readonly Action _finish;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _awaiter;
    private WireFrame _request;
    private WireBuffer? _buffer;
    private int _position;
    private bool _isGated;

    public WireTask(WireRequests owner)
    {
        _owner = owner;
        _finish = Finish;
    }

    /// <summary>
    /// Waits for <paramref name="task"/>. For a read, <paramref name="buffer"/> is where its payload lands, behind a header at
    /// <paramref name="position"/>; for a write it holds the payload. The task takes over the caller's reference.
    /// </summary>
    public void Start(ValueTask task, in WireFrame request, WireBuffer? buffer, int position, bool isGated)
    {
        _request = request;
        _buffer = buffer;
        _position = position;
        _isGated = isGated;
        _awaiter = task.ConfigureAwait(false).GetAwaiter();
        if (_awaiter.IsCompleted)
            Finish();
        else
            _awaiter.UnsafeOnCompleted(_finish);
    }

    private void Finish()
    {
        var request = _request;
        var buffer = _buffer;
        int position = _position;
        Exception? failure = null;
        try
        {
            _awaiter.GetResult();
        }
        catch (Exception error)
        {
            failure = error;
        }

        if (_isGated)
            _owner.Store.Gate.Exit();
        _awaiter = default;
        _buffer = null;
        _owner.Return(this);
        _owner.Reply(request, failure, buffer, position);
    }
}
