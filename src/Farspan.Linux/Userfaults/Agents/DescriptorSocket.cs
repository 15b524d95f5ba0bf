using System.Net.Sockets;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>A Unix socket over which descriptors come beside bytes. One reads, any number send.</summary>
internal sealed class DescriptorSocket(Socket socket) : IDisposable
{
    /// <summary>Descriptors that may come at once; the kernel closes what is more.</summary>
    private const int MostDescriptors = 4;

    private const int ControlLength = 64;

    private readonly SemaphoreSlim _sending = new(1, 1);

    /// <summary>Fills all of a buffer, and takes what descriptors come with it.</summary>
    /// <returns>False where the peer ended before the first byte.</returns>
    /// <exception cref="AgentProtocolException">It ended in the middle, or sent more descriptors than anybody may.</exception>
    public async ValueTask<bool> ReceiveAsync(Memory<byte> buffer, List<SafeDescriptor> descriptors, CancellationToken cancellationToken)
    {
        for (int done = 0; done < buffer.Length;)
        {
            // Waits, and takes nothing: descriptors go to the call that takes the bytes.
            _ = await socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, cancellationToken);
            int count = Receive(buffer.Span[done..], descriptors);
            if (count < 0)
                continue;
            if (count == 0)
                return done == 0 ? false : throw new AgentProtocolException("The connection ended in the middle of a message.");
            done += count;
        }

        return true;
    }

    public async Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken);
        try
        {
            for (int done = 0; done < bytes.Length;)
                done += await socket.SendAsync(bytes[done..], SocketFlags.None, cancellationToken);
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Sends a few bytes with descriptors, by a blocking call.</summary>
    public unsafe void Send(ReadOnlySpan<byte> bytes, ReadOnlySpan<SafeDescriptor> descriptors)
    {
        byte* control = stackalloc byte[ControlLength];
        var header = (ControlHeader*)control;
        header->Length = (nuint)(sizeof(ControlHeader) + (descriptors.Length * sizeof(int)));
        header->Level = Libc.SOL_SOCKET;
        header->Type = Libc.SCM_RIGHTS;
        for (int i = 0; i < descriptors.Length; i++)
            ((int*)(header + 1))[i] = descriptors[i].Number;
        fixed (byte* start = bytes)
        {
            var vector = new IoVector { Start = start, Length = (nuint)bytes.Length };
            var message = new MessageHeader { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = (header->Length + 7) & ~(nuint)7 };
            nint sent;
            do
                sent = Libc.SendMessage((int)socket.Handle, &message, Libc.MSG_NOSIGNAL);
            while (sent < 0 && LinuxError.Last == Errno.EINTR);
            if (sent != bytes.Length)
                throw LinuxError.Exception(LinuxError.Last, "sending descriptors to the agent");
        }
    }

    public void Dispose()
    {
        socket.Dispose();
        _sending.Dispose();
    }

    private unsafe int Receive(Span<byte> buffer, List<SafeDescriptor> descriptors)
    {
        byte* control = stackalloc byte[ControlLength];
        fixed (byte* start = buffer)
        {
            var vector = new IoVector { Start = start, Length = (nuint)buffer.Length };
            nuint room = (nuint)(sizeof(ControlHeader) + (MostDescriptors * sizeof(int)));
            var message = new MessageHeader { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = room };
            nint count = Libc.ReceiveMessage((int)socket.Handle, &message, Libc.MSG_CMSG_CLOEXEC | Libc.MSG_DONTWAIT);
            var error = LinuxError.Last;
            if (count < 0)
                return error is Errno.EAGAIN or Errno.EINTR ? -1 : throw new IOException($"Receiving from a Unix socket failed ({error}).");
            Take(control, message.ControlLength, descriptors);
            if ((message.Flags & Libc.MSG_CTRUNC) != 0 || descriptors.Count > MostDescriptors)
                throw new AgentProtocolException($"More than {MostDescriptors} descriptors came at once.");
            return (int)count;
        }
    }

    private static unsafe void Take(byte* control, nuint length, List<SafeDescriptor> descriptors)
    {
        var header = (ControlHeader*)control;
        if (length < (nuint)sizeof(ControlHeader) || header->Level != Libc.SOL_SOCKET || header->Type != Libc.SCM_RIGHTS)
            return;
        int count = (int)((Math.Min(header->Length, length) - (nuint)sizeof(ControlHeader)) / sizeof(int));
        for (int i = 0; i < count; i++)
            descriptors.Add(new SafeDescriptor(((int*)(header + 1))[i]));
    }
}
