using System.Net.Sockets;
using Farspan.Transports;

namespace Farspan.Figures;

/// <summary>
/// A simulated line as a process of its own: whoever connects here reaches the server behind it, whatever they speak. All connections share the
/// line's rate, as they would share a cable. <c>Farspan.Figures relay LINE LISTEN TARGET [LISTEN TARGET ...]</c>, ended by a signal.
/// </summary>
internal static class LineRelay
{
    private const int BufferSize = 256 << 10;

    /// <param name="line">The line.</param>
    /// <param name="ends">By turns where to listen, and what is reached there.</param>
    public static Task RunAsync(LinkOptions line, string[] ends)
    {
        var link = new LinkModel(line);
        return Task.WhenAll(ends.Chunk(2).Select(pair => AcceptAsync(link, StreamEndpoint.Parse(pair[0], 0), StreamEndpoint.Parse(pair[1], 0))));
    }

    private static async Task AcceptAsync(LinkModel link, StreamEndpoint listen, StreamEndpoint target)
    {
        using var listener = StreamListener.Bind(listen);
        while (true)
        {
            var near = await listener.AcceptAsync();
            _ = ServeAsync(near, target, link);
        }
    }

    private static async Task ServeAsync(NetworkStream near, StreamEndpoint target, LinkModel link)
    {
        try
        {
            await using (near)
            {
                await using var far = new SimulatedLinkStream(await StreamDialer.ConnectAsync(target, TimeSpan.FromSeconds(10)), link);
                await Task.WhenAll(PumpAsync(near, far, far.ShutdownWrites), PumpAsync(far, near, () => near.Socket.Shutdown(SocketShutdown.Send)));
            }
        }
        catch (Exception error)
        {
            // One connection that broke; both ends have seen it.
            await Console.Error.WriteLineAsync($"relay: {error.Message}");
        }
    }

    private static async Task PumpAsync(Stream from, Stream to, Action end)
    {
        byte[] buffer = new byte[BufferSize];
        while (await from.ReadAsync(buffer) is var count and > 0)
            await to.WriteAsync(buffer.AsMemory(0, count));
        end();
    }
}
