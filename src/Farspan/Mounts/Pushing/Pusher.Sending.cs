using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Waiting;

namespace Farspan.Mounts.Pushing;

/// <content>Pushes: picked, sent, answered or not.</content>
internal sealed partial class Pusher
{
    private const int LongestPush = 1 << 20;

    /// <summary>Where more than this is dirty and not on its way, chunks that were written in one go are sent at once, the last of it excepted: more
    /// may come there.</summary>
    private const int KeptBack = 4 << 20;

    // Bytes answered since the last flush, and the most that these ever were: what is sent once more, after a flush that failed, is no advance.
    private long _answered;
    private long _mostAnswered;

    private bool TryStartNext()
    {
        if (!MayCall || (IsLineWanted() && Window.InFlight > Window.Limit / 2))
            return false;
        long most = Math.Max(1, Math.Min(LongestPush, Window.Limit / 4) / _mount.Layout.ChunkSize);
        long bytes = most * _mount.Layout.ChunkSize;
        if (!Window.HasRoom(bytes) || !Budget.TryTake(bytes))
            return false;
        Push? push;
        lock (_mount.Gate)
        {
            long now = _mount.Clock.GetTimestamp();
            long target = 0;
            foreach (var waiter in _waiters)
                target = Math.Max(target, waiter.Target);
            push = _queue.Pick(target, IsUrgent, MayGo(now), most);
        }

        if (push is null)
        {
            Budget.Return(bytes);
            return false;
        }

        long taken = push.Zero is null ? push.Chunks.Count * (long)_mount.Layout.ChunkSize : bytes;
        Budget.Return(bytes - taken);
        _mount.Tasks.Run(static work => work.Pusher.SendAsync(work.Push, work.Bytes), (Pusher: this, Push: push, Bytes: taken));
        return true;
    }

    /// <summary>Which chunks may go although nothing urges: null for none.</summary>
    private Func<ChunkDetail, bool>? MayGo(long now)
    {
        bool isMuch = _mount.Map.ByWrite.Count * (long)_mount.Layout.ChunkSize > KeptBack;
        return (_isSweeping, isMuch) switch
        {
            (true, true) => chunk => IsFinished(chunk) || IsSettled(chunk, now),
            (true, false) => chunk => IsSettled(chunk, now),
            (false, true) => IsFinished,
            _ => null,
        };
    }

    /// <summary>Written throughout, and not after a push took it: of a chunk that is changed all the time, that is so once.</summary>
    private bool IsFinished(ChunkDetail chunk)
        => !chunk.IsRewritten && chunk.Dirty.Count == 1 && chunk.Dirty.TotalLength == _mount.Layout.LengthOf(chunk.Index);

    /// <summary>Not written for a moment, or dirty for so long that it never is.</summary>
    private bool IsSettled(ChunkDetail chunk, long now)
        => _mount.Clock.GetElapsedTime(chunk.LastWrite, now) >= _rest
            || _mount.Clock.GetElapsedTime(chunk.DirtySince, now) >= _mount.Options.PushInterval * 3;

    private async Task SendAsync(Push push, long budget)
    {
        var ticket = Window.Begin(push.Bytes);
        BackendException? failure = null;
        try
        {
            await AnswerAsync(_work.SendAsync(push), push);
        }
        catch (BackendException error)
        {
            failure = error;
        }
        finally
        {
            Window.End(ticket, failure is null);
            Budget.Return(budget);
            EndSend(push, failure);
            _wake.Set();
        }
    }

    /// <summary>Waits for a push, however long it takes; when it is late, those who wait for it are told.</summary>
    private async Task AnswerAsync(Task sending, Push push)
    {
        while (!sending.IsCompleted)
        {
            var time = _mount.Remote.TimeFor(push.Bytes);
            using var late = new CancellationTokenSource();
            await Task.WhenAny(sending, Task.Delay(time, _mount.Clock, late.Token));
            late.CancelHere();
            if (!sending.IsCompleted)
            {
                var error = new BackendException(BackendError.TimedOut, $"A push was not answered within {time.TotalSeconds:0.###} s.");
                _mount.Report(error);
                FailAll(error, push.From);
            }
        }

        await sending;
    }

    private void EndSend(Push push, BackendException? failure)
    {
        bool hasAdvanced = false;
        lock (_mount.Gate)
        {
            _queue.Ended(push);

            // A flush that failed since may have lost it, although it was answered.
            bool isSent = failure is null && push.Epoch == _queue.Epoch;
            _pushes++;
            if (push.Zero is { } zero && isSent)
                _mount.Map.Zeroes.Sent(zero, _pushes);
            else if (push.Zero is { } unsent)
                _mount.Map.Zeroes.Undo(unsent);
            for (int i = 0; i < push.Chunks.Count; i++)
            {
                long from = i < push.Taken.Count && push.Taken[i] is { } taken ? taken : long.MaxValue;
                if (isSent)
                    _mount.Map.EndSending(push.Chunks[i], from, _pushes);
                else
                    _mount.Map.UndoSending(push.Chunks[i], from);
            }

            if (isSent)
                _answered += push.Zero is { } told ? _mount.BytesOf(told.FirstChunk, told.Count) : push.Bytes;
            hasAdvanced = _answered > _mostAnswered;
            _mostAnswered = Math.Max(_mostAnswered, _answered);
        }

        if (hasAdvanced)
            Advanced?.Invoke();

        if (failure is null)
            Recover();
        else
            Fail(failure, push.From);
    }
}
