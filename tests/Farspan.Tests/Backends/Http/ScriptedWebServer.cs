using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Farspan.Tests.Backends.Http;

/// <summary>A web server that says what the test says, right or wrong: one answer a connection, which it then closes.</summary>
internal sealed class ScriptedWebServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly Task _loop;

    public ScriptedWebServer(Func<string, byte[]?> answer)
    {
        Answer = answer;
        _listener.Start();
        _loop = Task.Run(ServeAsync);
    }

    /// <summary>Gives the bytes of an answer for the head of a request; null says nothing at all.</summary>
    public Func<string, byte[]?> Answer { get; set; }

    public ConcurrentQueue<string> Requests { get; } = new();

    public string Address => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>The bytes of an answer.</summary>
    public static byte[] Reply(string status, string headers, byte[]? body = null)
        => [.. Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nConnection: close\r\n{headers.ReplaceLineEndings("\r\n")}\r\n\r\n"), .. body ?? []];

    /// <summary>What a right server answers.</summary>
    public static byte[] Range(string request, byte[] contents, string validators = "ETag: \"a\"")
    {
        var (first, last) = Asked(request);
        byte[] body = contents[first..(last + 1)];
        return Reply("206 Partial Content", $"{validators}\nContent-Length: {body.Length}\nContent-Range: bytes {first}-{last}/{contents.Length}", body);
    }

    /// <summary>The range that a request asks for.</summary>
    public static (int First, int Last) Asked(string request)
    {
        string line = request.Split("\r\n").Single(line => line.StartsWith("Range: bytes=", StringComparison.Ordinal));
        string[] ends = line["Range: bytes=".Length..].Split('-');
        return (int.Parse(ends[0]), int.Parse(ends[1]));
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _loop;
        _listener.Dispose();
        _end.Dispose();
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            try
            {
                using var client = await _listener.AcceptTcpClientAsync(_end.Token);
                await AnswerAsync(client.GetStream());
            }
            catch (IOException)
            {
                // It has heard enough.
            }
            catch (OperationCanceledException) when (_end.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task AnswerAsync(NetworkStream stream)
    {
        var head = new StringBuilder();
        byte[] buffer = new byte[4096];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            int count = await stream.ReadAsync(buffer, _end.Token);
            if (count == 0)
                return;
            head.Append(Encoding.ASCII.GetString(buffer, 0, count));
        }

        Requests.Enqueue(head.ToString());
        if (Answer(head.ToString()) is { } answer)
            await stream.WriteAsync(answer, _end.Token);
        else
            await Task.Delay(Timeout.Infinite, _end.Token);
    }
}
