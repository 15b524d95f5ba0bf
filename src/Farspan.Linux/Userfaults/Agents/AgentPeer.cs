using System.Net.Sockets;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>Who is at the other end of a Unix socket, as the kernel says.</summary>
internal readonly record struct AgentPeer(int ProcessId, uint UserId)
{
    public static AgentPeer Of(Socket socket)
    {
        // struct ucred: process, user, group.
        Span<byte> credentials = stackalloc byte[12];
        int length = socket.GetRawSocketOption(Libc.SOL_SOCKET, Libc.SO_PEERCRED, credentials);
        return length == credentials.Length
            ? new AgentPeer(BitConverter.ToInt32(credentials), BitConverter.ToUInt32(credentials[4..]))
            : throw new IOException("The kernel does not say who has connected (SO_PEERCRED).");
    }
}
