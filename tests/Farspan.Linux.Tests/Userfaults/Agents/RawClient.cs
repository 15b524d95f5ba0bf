using System.Net.Sockets;
using System.Text;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.Linux.Userfaults.Agents;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>A client of an agent that says whatever a test likes.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 60_000 };
    private readonly DescriptorSocket _descriptors;
    private readonly List<IDisposable> _owned = [];
    private readonly List<(nint Address, int Length)> _mapped = [];

    public RawClient(string path)
    {
        _descriptors = new DescriptorSocket(_socket);
        _socket.Connect(new UnixDomainSocketEndPoint(path));
    }

    /// <summary>A userfault descriptor that has agreed on nothing.</summary>
    public SafeDescriptor NewFaults() => Own(UserfaultDescriptor.OpenNew());

    /// <summary>A file of shared memory.</summary>
    public SafeDescriptor NewFile(int length)
    {
        var file = Own(new SafeDescriptor(Libc.CreateMemoryFile("test", Libc.MFD_CLOEXEC)));
        Xunit.Assert.Equal(0, Libc.Truncate(file, length));
        return file;
    }

    /// <summary>Maps a file, or memory of no file.</summary>
    public nint Map(SafeDescriptor? file, int length)
    {
        nint address = file is null
            ? Libc.Map(0, (nuint)length, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS, -1, 0)
            : Libc.Map(0, (nuint)length, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, file, 0);
        Xunit.Assert.NotEqual(-1, address);
        _ = Libc.Advise(address, (nuint)length, Libc.MADV_DONTFORK);
        _mapped.Add((address, length));
        return address;
    }

    public void Send(ReadOnlySpan<byte> bytes, params ReadOnlySpan<SafeDescriptor> descriptors)
    {
        if (descriptors.IsEmpty)
            _socket.Send(bytes);
        else
            _descriptors.Send(bytes, descriptors);
    }

    public void Send(AgentMessage message, ReadOnlySpan<byte> body, params ReadOnlySpan<SafeDescriptor> descriptors) => Send(Message(message, body), descriptors);

    public void SendHello()
    {
        Span<byte> body = stackalloc byte[AgentHello.Size];
        new AgentHello(1, 1).Write(body);
        Send(AgentMessage.Hello, body);
        Xunit.Assert.Equal(AgentStatus.Done, Receive().Status);
    }

    public void SendMap(nint address, long offset, long length, bool isWritable, params ReadOnlySpan<SafeDescriptor> descriptors)
    {
        Span<byte> body = stackalloc byte[AgentMapping.Size];
        new AgentMapping((ulong)address, offset, length, isWritable).Write(body);
        Send(AgentMessage.Map, body, descriptors);
    }

    public static byte[] Message(AgentMessage message, ReadOnlySpan<byte> body)
    {
        byte[] bytes = new byte[AgentHeader.Size + body.Length];
        new AgentHeader(message, AgentStatus.Done, 7, body.Length).Write(bytes);
        body.CopyTo(bytes.AsSpan(AgentHeader.Size));
        return bytes;
    }

    /// <summary>The next message of the agent; status Ending where it has closed the connection.</summary>
    public (AgentMessage Message, AgentStatus Status, string Text) Receive()
    {
        byte[] bytes = new byte[AgentHeader.LongestBody];
        if (!TryFill(bytes.AsSpan(0, AgentHeader.Size)))
            return (AgentMessage.Ended, AgentStatus.Ending, "");
        Xunit.Assert.True(AgentHeader.TryRead(bytes, out var header));
        Xunit.Assert.True(TryFill(bytes.AsSpan(0, header.BodyLength)));
        return (header.Message, header.Status, Encoding.UTF8.GetString(bytes, 0, header.BodyLength));
    }

    public void EndSending() => _socket.Shutdown(SocketShutdown.Send);

    public void Dispose()
    {
        // The place is other memory's only when the agent has done with it: it may be asked to put pages there.
        try
        {
            EndSending();
            while (_socket.Receive(new byte[AgentHeader.LongestBody]) > 0)
            {
            }
        }
        catch (SocketException)
        {
            // The agent was the first.
        }

        _descriptors.Dispose();
        _mapped.ForEach(static mapped => Xunit.Assert.Equal(0, Libc.Unmap(mapped.Address, (nuint)mapped.Length)));
        _owned.ForEach(static owned => owned.Dispose());
    }

    private SafeDescriptor Own(SafeDescriptor descriptor)
    {
        _owned.Add(descriptor);
        return descriptor;
    }

    private bool TryFill(Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            int count;
            try
            {
                count = _socket.Receive(buffer);
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.ConnectionReset)
            {
                return false;
            }

            if (count == 0)
                return false;
            buffer = buffer[count..];
        }

        return true;
    }
}
