using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <content>The thread that reads replies. A connection fails nowhere but there.</content>
internal sealed partial class ClientConnection : IReplyTarget
{
    private readonly Lock _delivery = new();

    public ReplySlot? Find(ulong cookie)
    {
        int index = (int)(cookie & ((1 << SlotBits) - 1));
        if (index >= _slots.Length)
            return null;
        var slot = _slots[index];
        return slot.IsOnWire && slot.Cookie == cookie ? slot : null;
    }

    public Memory<byte> Borrow(ReplySlot slot)
    {
        _delivery.Enter();
        return slot.Request?.Target ?? default;
    }

    public void GiveBack(ReplySlot slot) => _delivery.Exit();

    public void Finish(ReplySlot slot)
    {
        if (slot.Error == NbdErrno.Shutdown)
            throw new BackendException(BackendError.Disconnected, $"{_options.Name} is shutting down.");
        NbdRequest? request;
        ClientConnection? pump = null;
        Exception? failure = null;
        bool isDone = false;
        lock (Gate)
        {
            request = slot.Request;
            Free(slot);
            if (request is not null)
            {
                if (slot.Error != NbdErrno.Ok)
                    failure = Failed(request, slot);
                else
                    request.Extents?.AddRange(slot.Extents);
                isDone = Link.Settle(request, ref failure, ref pump);
            }
            else if (slot.Command == NbdCommand.Flush && slot.Error != NbdErrno.Ok)
            {
                Link.NoteFailedFlush();
            }

            _wantsPump |= Link.Dispatch(this);
        }

        if (isDone)
            request!.Complete(failure);
        pump?.Pump();
    }

    private void Fail(BackendException failure)
    {
        lock (Gate)
        {
            Failure = _broken ?? failure;
            _drained.TrySetResult();
            _sender.Stop();
            Link.OnLost(this);
        }

        _transport.Abort();
    }

    private BackendException Failed(NbdRequest request, ReplySlot slot)
    {
        string what = request.Command == NbdCommand.Flush
            ? "Flush"
            : $"{request.Command} of {request.Length} bytes at {request.Offset}";
        string reason = Enum.IsDefined(slot.Error) ? $"{slot.Error}" : $"error {(uint)slot.Error}";
        return new BackendException(NbdFailure.FromErrno(slot.Error), $"{what} on {_options.Name} failed: {reason}{slot.ErrorText}.");
    }

    private void ReadReplies()
    {
        if (_start.Task.GetAwaiter().GetResult() is null)
        {
            _transport.Dispose();
            return;
        }

        BackendException failure;
        try
        {
            var replies = new ReplyReader(_wire, this, Export);
            while (true)
            {
                replies.ReadMessage();
                if (_wantsPump)
                {
                    _wantsPump = false;
                    Pump();
                }
            }
        }
        catch (BackendException error)
        {
            failure = error;
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException)
        {
            string how = error is EndOfStreamException ? "the server closed it" : error.Message.TrimEnd('.');
            failure = new BackendException(BackendError.Disconnected, $"The connection to {_options.Name} was lost: {how}.", error);
        }
        catch (Exception error)
        {
            failure = new BackendException(BackendError.InputOutput, $"The client of {_options.Name} failed: {error.Message}", error, isTransient: false);
        }

        // Only here, on the thread that fills buffers, does a connection fail: so nothing is being filled when its requests are taken from it.
        Fail(failure);
        _sender.Join();
        _transport.Dispose();
        _ended.TrySetResult();
    }
}
