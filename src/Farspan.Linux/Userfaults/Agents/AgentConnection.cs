using System.Net.Sockets;
using System.Text;
using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>A client's end of a connection to an agent: requests go, replies come. Thread-safe.</summary>
/// <remarks>Replies are read by a thread of its own, by calls that block: threads of the pool may all be waiting for pages.</remarks>
internal sealed class AgentConnection : IDisposable
{
    private const int StackLength = 256 << 10;

    private readonly Socket _socket;
    private readonly DescriptorSocket _descriptors;
    private readonly Action<string> _ended;
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, TaskCompletionSource<byte[]>> _waiting = [];
    private string? _reason;
    private uint _lastId;

    /// <param name="socket">Connected; belongs to this from now on, and is used by blocking calls only.</param>
    /// <param name="ended">Is called once, with the reason, when the connection has ended.</param>
    public AgentConnection(Socket socket, Action<string> ended)
    {
        _socket = socket;
        _descriptors = new DescriptorSocket(socket);
        _ended = ended;
        new Thread(Read, StackLength) { IsBackground = true, Name = "agent replies" }.Start();
    }

    /// <summary>Sends a request, and returns the body of its reply.</summary>
    /// <exception cref="BackendException">It was refused, or the connection has ended.</exception>
    public Task<byte[]> AskAsync(AgentMessage message, ReadOnlySpan<byte> body, params ReadOnlySpan<SafeDescriptor> descriptors)
    {
        byte[] bytes = new byte[AgentHeader.Size + body.Length];
        body.CopyTo(bytes.AsSpan(AgentHeader.Size));
        var answered = new TaskCompletionSource<byte[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_reason is not null)
                throw Ended(_reason);
            _waiting.Add(++_lastId, answered);
            new AgentHeader(message, AgentStatus.Done, _lastId, body.Length).Write(bytes);
            try
            {
                if (descriptors.IsEmpty)
                    _socket.Send(bytes);
                else
                    _descriptors.Send(bytes, descriptors);
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException or BackendException)
            {
                // The reader finds out why, and tells all who wait.
            }
        }

        return answered.Task;
    }

    /// <summary>Asks for nothing more; the agent ends the connection then.</summary>
    public void End() => Shutdown(SocketShutdown.Send);

    public void Dispose()
    {
        // Wakes the reader.
        Shutdown(SocketShutdown.Both);
        _descriptors.Dispose();
    }

    private static BackendException Ended(string reason) => new(BackendError.Disconnected, $"The agent serves this memory no more: {reason}", isTransient: false);

    private static BackendError ErrorOf(AgentStatus status) => status switch
    {
        AgentStatus.Protocol => BackendError.Protocol,
        AgentStatus.Refused => BackendError.AccessDenied,
        AgentStatus.Invalid => BackendError.Invalid,
        AgentStatus.ReadOnly => BackendError.ReadOnly,
        AgentStatus.Busy => BackendError.Leased,
        AgentStatus.NotSupported => BackendError.NotSupported,
        AgentStatus.Ending => BackendError.ShuttingDown,
        _ => BackendError.InputOutput,
    };

    private void Shutdown(SocketShutdown direction)
    {
        try
        {
            _socket.Shutdown(direction);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The agent was the first.
        }
    }

    private void Read()
    {
        string reason = "it has ended.";
        try
        {
            byte[] header = new byte[AgentHeader.Size];
            byte[] body = new byte[AgentHeader.LongestBody];
            while (TryFill(header))
            {
                if (!AgentHeader.TryRead(header, out var reply) || !TryFill(body.AsSpan(0, reply.BodyLength)))
                {
                    reason = "what it sent is no message of its protocol.";
                    break;
                }

                if (reply.Message == AgentMessage.Ended)
                    reason = Encoding.UTF8.GetString(body, 0, reply.BodyLength);
                else
                    Answer(reply, body.AsSpan(0, reply.BodyLength));
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            reason = error.Message;
        }

        TaskCompletionSource<byte[]>[] left;
        lock (_gate)
        {
            _reason = reason;
            left = [.. _waiting.Values];
            _waiting.Clear();
        }

        // First what has other threads go on.
        _ended(reason);
        Array.ForEach(left, waiting => waiting.TrySetException(Ended(reason)));
    }

    private void Answer(AgentHeader reply, ReadOnlySpan<byte> body)
    {
        TaskCompletionSource<byte[]>? answered;
        lock (_gate)
        {
            if (!_waiting.Remove(reply.Id, out answered))
                return;
        }

        if (reply.Status == AgentStatus.Done)
            answered.TrySetResult(body.ToArray());
        else
            answered.TrySetException(new BackendException(ErrorOf(reply.Status), Encoding.UTF8.GetString(body), isTransient: false));
    }

    private bool TryFill(Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            int count = _socket.Receive(buffer);
            if (count == 0)
                return false;
            buffer = buffer[count..];
        }

        return true;
    }
}
