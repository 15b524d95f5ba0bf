using System.Net.Sockets;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Tests.Client;

/// <summary>The server's end of one connection, in the hands of a test.</summary>
internal sealed class ScriptedConnection(NetworkStream stream) : IDisposable
{
    private readonly TaskCompletionSource _cut = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _writing = new(1);

    public bool IsExtended { get; private set; }

    public bool IsStructured { get; private set; }

    /// <summary>Ends the connection; waiting reads fail.</summary>
    public void Cut()
    {
        stream.Dispose();
        _cut.TrySetResult();
    }

    public void Dispose()
    {
        Cut();
        _writing.Dispose();
    }

    /// <summary>Does nothing until the connection is cut by the test's end.</summary>
    public Task StallAsync() => _cut.Task;

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        await _writing.WaitAsync();
        try
        {
            await stream.WriteAsync(bytes);
        }
        finally
        {
            _writing.Release();
        }
    }

    public async Task<byte[]> ReceiveAsync(int count)
    {
        byte[] bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes);
        return bytes;
    }

    /// <summary>The whole negotiation of a decent server, as <paramref name="script"/> has it.</summary>
    public async Task NegotiateAsync(ServerScript script)
    {
        await SendAsync(ServerBytes.Greeting());
        await ReceiveAsync(4);
        while (true)
        {
            var (option, data) = await ReadOptionAsync();
            foreach (byte[] reply in script.Answer(option, data))
                await SendAsync(reply);
            IsStructured |= option == NbdOption.StructuredReply && script.IsStructured;
            IsExtended |= option == NbdOption.ExtendedHeaders && script.IsExtended;
            if (option == NbdOption.Go)
                return;
        }
    }

    public async Task<(NbdOption Option, byte[] Data)> ReadOptionAsync()
    {
        byte[] header = await ReceiveAsync(OptionHeader.Size);
        if (!OptionHeader.TryRead(header, out var option))
            throw new InvalidDataException($"The client sent no option: {Convert.ToHexString(header)}");
        return (option.Option, await ReceiveAsync((int)option.Length));
    }

    public async Task<(RequestHeader Header, byte[] Payload)> ReadRequestAsync()
    {
        byte[] bytes = await ReceiveAsync(IsExtended ? RequestHeader.ExtendedSize : RequestHeader.CompactSize);
        if (!RequestHeader.TryRead(bytes, IsExtended, out var header))
            throw new InvalidDataException($"The client sent no request: {Convert.ToHexString(bytes)}");
        return (header, header.Command == NbdCommand.Write ? await ReceiveAsync((int)header.Length) : []);
    }

    /// <summary>Answers a request well: what it reads is <paramref name="data"/>.</summary>
    public Task AnswerAsync(RequestHeader request, ReadOnlyMemory<byte> data = default, NbdErrno error = NbdErrno.Ok)
        => SendAsync(ServerBytes.Answer(request, data.Span, error, IsStructured || IsExtended, IsExtended));
}
