using System.Net.Sockets;
using System.Text;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>The agent's end of a connection: requests come, replies go. One reads, any number send.</summary>
internal sealed class AgentChannel(Socket socket) : IDisposable
{
    // Who takes no replies for so long is left.
    private static readonly TimeSpan s_sendTimeout = TimeSpan.FromSeconds(10);

    private readonly DescriptorSocket _socket = new(socket);
    private readonly byte[] _header = new byte[AgentHeader.Size];
    private readonly byte[] _body = new byte[AgentHeader.LongestBody];

    /// <summary>Waits for the next request; the descriptors that came with it are the caller's. Null where the client has ended the connection.</summary>
    /// <exception cref="AgentProtocolException">What came is no request.</exception>
    public async Task<(AgentRequest Request, SafeDescriptor[] Descriptors)?> ReceiveAsync(CancellationToken cancellationToken)
    {
        var descriptors = new List<SafeDescriptor>();
        bool isTaken = false;
        try
        {
            if (!await _socket.ReceiveAsync(_header, descriptors, cancellationToken))
                return null;
            string? wrong = AgentRequest.Check(_header, out var header);
            if (wrong is null && header.BodyLength > 0 && !await _socket.ReceiveAsync(_body.AsMemory(0, header.BodyLength), descriptors, cancellationToken))
                wrong = "The connection ended in the middle of a message.";
            var request = default(AgentRequest);
            wrong ??= AgentRequest.Read(header, _body.AsSpan(0, header.BodyLength), descriptors.Count, out request);
            if (wrong is not null)
                throw new AgentProtocolException(wrong);
            isTaken = true;
            return (request, [.. descriptors]);
        }
        finally
        {
            if (!isTaken)
                descriptors.ForEach(static descriptor => descriptor.Dispose());
        }
    }

    /// <summary>Answers a request with a body of <paramref name="length"/> bytes.</summary>
    public Task ReplyAsync(in AgentRequest request, int length, Action<Span<byte>> write)
    {
        byte[] bytes = new byte[AgentHeader.Size + length];
        new AgentHeader(request.Message | AgentMessage.Reply, AgentStatus.Done, request.Id, length).Write(bytes);
        write(bytes.AsSpan(AgentHeader.Size));
        return SendAsync(bytes);
    }

    public Task ReplyAsync(in AgentRequest request) => ReplyAsync(request, 0, static _ => { });

    /// <summary>Answers a request with an error, in one line.</summary>
    public Task RefuseAsync(in AgentRequest request, AgentStatus status, string text) => SendTextAsync(request.Message | AgentMessage.Reply, status, request.Id, text);

    /// <summary>Says that nothing is served any more.</summary>
    public Task EndAsync(AgentStatus status, string text) => SendTextAsync(AgentMessage.Ended, status, 0, text);

    public void Dispose() => _socket.Dispose();

    private Task SendTextAsync(AgentMessage message, AgentStatus status, uint id, string text)
    {
        byte[] line = Encoding.UTF8.GetBytes(text.ReplaceLineEndings(" "));
        int length = Math.Min(line.Length, AgentHeader.LongestBody);

        // No character is cut in two.
        while (length < line.Length && (line[length] & 0xC0) == 0x80)
            length--;
        byte[] bytes = new byte[AgentHeader.Size + length];
        new AgentHeader(message, status, id, length).Write(bytes);
        line.AsSpan(0, length).CopyTo(bytes.AsSpan(AgentHeader.Size));
        return SendAsync(bytes);
    }

    private async Task SendAsync(byte[] bytes)
    {
        using var patience = new CancellationTokenSource(s_sendTimeout);
        try
        {
            await _socket.SendAsync(bytes, patience.Token);
        }
        catch (OperationCanceledException error)
        {
            throw new IOException("The client takes no replies.", error);
        }
    }
}
