using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>Takes what the hooks of both hosts say: their command is a connection to here, which returns once it was answered.</summary>
internal sealed class HookServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Func<HookCall, Task<bool>> _answer;
    private readonly Task _accepting;

    /// <param name="answer">Does what a hook asks for; false where it has no one to ask for.</param>
    public HookServer(Func<HookCall, Task<bool>> answer)
    {
        _answer = answer;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>The command for a hook of a host.</summary>
    public string CommandFor(string host)
        => $"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{((IPEndPoint)_listener.LocalEndpoint).Port}; echo {host} $ROUND_START $FARSPAN_EVENT $FARSPAN_EPOCH >&3; read -r answer <&3; [ \"$answer\" = ok ]'";

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepting;
    }

    private async Task AcceptAsync()
    {
        var answering = new List<Task>();
        try
        {
            while (true)
                answering.Add(AnswerAsync(await _listener.AcceptTcpClientAsync()));
        }
        catch (Exception ended) when (ended is SocketException or ObjectDisposedException or InvalidOperationException)
        {
            await Task.WhenAll(answering);
        }
    }

    private async Task AnswerAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                using var reader = new StreamReader(client.GetStream());
                await using var writer = new StreamWriter(client.GetStream());
                if (await reader.ReadLineAsync() is not { } line || line.Split(' ') is not [var host, var start, var happened, var epoch])
                    return;
                bool isDone = await _answer(new HookCall(host, int.Parse(start, CultureInfo.InvariantCulture), happened, long.Parse(epoch, CultureInfo.InvariantCulture)));
                await writer.WriteLineAsync(isDone ? "ok" : "no");
            }
            catch (IOException)
            {
                // The hook was killed.
            }
        }
    }
}
