using System.Net.Sockets;
using Farspan.TestKit;
using Farspan.Transports;

namespace Farspan.Nbd.Tests.Client;

/// <summary>
/// Stands between a client and a server, and lets only so many bytes of the first connection through in one direction; then it cuts that
/// connection or lets it hang. Later connections are whole.
/// </summary>
internal sealed class CutRelay : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly StreamEndpoint _server;
    private readonly StreamListener _listener;
    private readonly bool _cutsAnswers;
    private readonly bool _stalls;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private readonly long _allowed;

    /// <param name="server">Where connections go on to.</param>
    /// <param name="allowed">Bytes that the first connection carries.</param>
    /// <param name="cutsAnswers">Counts what the server sends, not what the client does.</param>
    /// <param name="stalls">Keeps the connection open and carries no more, in either direction.</param>
    public CutRelay(StreamEndpoint server, long allowed, bool cutsAnswers, bool stalls)
    {
        _server = server;
        _allowed = allowed;
        _cutsAnswers = cutsAnswers;
        _stalls = stalls;
        _listener = StreamListener.Bind(StreamEndpoint.Unix(_directory["r"]));
        _accepting = AcceptAsync();
    }

    public StreamEndpoint Endpoint => _listener.Endpoint;

    /// <summary>What the first connection carried of the direction that is cut.</summary>
    public long Carried { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting;
        _listener.Dispose();
        _stop.Dispose();
        _directory.Dispose();
    }

    private async Task AcceptAsync()
    {
        var relayed = new List<Task>();
        try
        {
            while (true)
                relayed.Add(RelayAsync(await _listener.AcceptAsync(_stop.Token), isFirst: relayed.Count == 0));
        }
        catch (OperationCanceledException)
        {
        }

        await Task.WhenAll(relayed);
    }

    private async Task RelayAsync(NetworkStream client, bool isFirst)
    {
        await using var _ = client;
        await using var server = await StreamDialer.ConnectAsync(_server, TimeSpan.FromSeconds(60));
        using var over = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        var requests = CopyAsync(client, server, isFirst && !_cutsAnswers, over);
        var answers = CopyAsync(server, client, isFirst && _cutsAnswers, over);
        await Task.WhenAll(requests, answers);
    }

    private async Task CopyAsync(NetworkStream from, NetworkStream to, bool isCounted, CancellationTokenSource over)
    {
        byte[] buffer = new byte[64 << 10];
        try
        {
            while (true)
            {
                long left = isCounted ? _allowed - Carried : buffer.Length;
                if (left == 0 && _stalls)
                    await Task.Delay(Timeout.Infinite, over.Token);
                if (left == 0)
                    break;
                int count = await from.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), over.Token);
                if (count == 0)
                    break;
                await to.WriteAsync(buffer.AsMemory(0, count), over.Token);
                if (isCounted)
                    Carried += count;
            }
        }
        catch (Exception error) when (error is IOException or SocketException or OperationCanceledException)
        {
            // One of the two has gone.
        }

        await over.CancelAsync();
    }
}
