namespace Farspan.Nbd.Server;

/// <summary>
/// What a connection's threads are waiting for, written by them and read by the server's watch. A changed value is progress; a value that
/// stays while it says "waiting" is none.
/// </summary>
internal sealed class ConnectionProgress
{
    private const int StateMask = 3;
    private const int StateStep = 4;

    private int _receiving;
    private int _sending;
    private int _seenReceiving;
    private int _seenSending;
    private long _receivingSince;
    private long _sendingSince;
    private bool _wasBusy;

    private enum Waiting
    {
        ForNothing = 0,
        ForRequest = 1,
        ForRestOfMessage = 2,
    }

    /// <summary>The receiving thread starts to wait, within a message or between two.</summary>
    public void BeginReceive(bool withinMessage)
        => _receiving = Next(_receiving, withinMessage ? Waiting.ForRestOfMessage : Waiting.ForRequest);

    public void EndReceive() => _receiving = Next(_receiving, Waiting.ForNothing);

    /// <summary>The thread that holds the line starts to send a piece.</summary>
    public void BeginSend() => _sending = Next(_sending, Waiting.ForRestOfMessage);

    public void EndSend() => _sending = Next(_sending, Waiting.ForNothing);

    /// <summary>Whether the receiving thread has nothing to do before the next request comes.</summary>
    public bool IsWaitingForRequest => State(Volatile.Read(ref _receiving)) == Waiting.ForRequest;

    /// <summary>
    /// The watch's look: why the connection should be ended, or null. Times are timestamps of <paramref name="clock"/>. A connection is not
    /// idle while it is <paramref name="busy"/> with requests.
    /// </summary>
    public string? Judge(TimeProvider clock, TimeSpan stallTimeout, TimeSpan idleTimeout, bool busy)
    {
        long now = clock.GetTimestamp();
        int receiving = Volatile.Read(ref _receiving);
        int sending = Volatile.Read(ref _sending);
        bool idles = State(receiving) == Waiting.ForRequest;
        if (receiving != _seenReceiving || (idles && (busy || _wasBusy)))
            (_seenReceiving, _receivingSince) = (receiving, now);
        _wasBusy = busy;
        if (sending != _seenSending)
            (_seenSending, _sendingSince) = (sending, now);
        var waitedToReceive = _receivingSince == 0 ? TimeSpan.Zero : clock.GetElapsedTime(_receivingSince, now);
        var waitedToSend = _sendingSince == 0 ? TimeSpan.Zero : clock.GetElapsedTime(_sendingSince, now);
        if (State(sending) != Waiting.ForNothing && waitedToSend >= stallTimeout)
            return "it does not take what is sent to it";
        return State(receiving) switch
        {
            Waiting.ForRestOfMessage when waitedToReceive >= stallTimeout => "the rest of a message does not come",
            Waiting.ForRequest when idleTimeout != Timeout.InfiniteTimeSpan && waitedToReceive >= idleTimeout => "it is idle",
            _ => null,
        };
    }

    private static Waiting State(int value) => (Waiting)(value & StateMask);

    private static int Next(int value, Waiting state) => unchecked((value & ~StateMask) + StateStep + (int)state);
}
