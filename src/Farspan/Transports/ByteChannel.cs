using System.Net.Sockets;

namespace Farspan.Transports;

/// <summary>
/// A connection's bytes, by blocking calls: one thread receives, one at a time sends, any thread may abort. Every failure of the line is an
/// <see cref="IOException"/>.
/// </summary>
internal abstract class ByteChannel : IDisposable
{
    /// <summary>The fastest channel over a duplex stream, which it takes over.</summary>
    public static ByteChannel Over(Stream stream) => stream is NetworkStream network ? new SocketChannel(network) : new StreamChannel(stream);

    /// <summary>Receives at least one byte; 0 at the end.</summary>
    public abstract int Receive(Span<byte> buffer);

    /// <summary>
    /// Whether what is sent arrives as it was sent, or not at all: within one system, or in TLS. The 16 bits of TCP's checksum are no such
    /// promise.
    /// </summary>
    public abstract bool IsProtected { get; }

    /// <summary>Whether <see cref="HasInput"/> tells anything.</summary>
    public abstract bool KnowsInput { get; }

    /// <summary>Whether a receive would surely not wait; false where that is not known.</summary>
    public abstract bool HasInput();

    /// <summary>Waits until a receive does not wait. Only where <see cref="KnowsInput"/>.</summary>
    public abstract void WaitForInput();

    /// <summary>Sends all of <paramref name="bytes"/>, waiting for the peer to take them.</summary>
    public abstract void Send(ReadOnlySpan<byte> bytes);

    /// <summary>
    /// How many bytes can be sent right now without waiting; 0 where that is not known. Where it knows of <paramref name="wanted"/> it may look
    /// no further. Called by whoever may send.
    /// </summary>
    public abstract int SendRoom(int wanted);

    /// <summary>A stream over what has not been received yet; the channel is then used only through it.</summary>
    public abstract Stream AsStream();

    /// <summary>Says that no more is sent; what was sent still arrives.</summary>
    public abstract void FinishSending();

    /// <summary>Ends the connection at once, from any thread; waiting calls return or throw. May be called several times.</summary>
    public abstract void Abort();

    /// <summary>Closes the connection.</summary>
    public abstract void Dispose();
}
