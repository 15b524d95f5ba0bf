using System.Net.Sockets;
using System.Text.Json;
using Farspan.Cli.Terminal;

namespace Farspan.Cli.Mounting;

/// <summary>Takes requests on a mount's Unix socket: one line of JSON each way, a few callers at a time.</summary>
internal sealed class ControlServer : IAsyncDisposable
{
    private const int LongestRequest = 4096;
    private const int MostCallers = 16;
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(10);

    private readonly Socket _listener;
    private readonly Func<ControlRequest, Task<ControlReply>> _handle;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    private ControlServer(Socket listener, Func<ControlRequest, Task<ControlReply>> handle)
    {
        _listener = listener;
        _handle = handle;
        _loop = Task.Run(LoopAsync);
    }

    /// <summary>Listens on a path; what a process that died left there is replaced.</summary>
    /// <exception cref="IOException">The path cannot be listened on.</exception>
    public static ControlServer Start(string path, Func<ControlRequest, Task<ControlReply>> handle)
    {
        File.Delete(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            listener.Bind(new UnixDomainSocketEndPoint(path));
            listener.Listen(8);
        }
        catch (SocketException error)
        {
            listener.Dispose();
            throw new IOException($"Cannot listen on the control socket {path}: {error.Message}", error);
        }

        return new ControlServer(listener, handle);
    }

    /// <summary>Asks the process that listens on a path; null where none does, or it stopped listening before it took the request.</summary>
    /// <exception cref="IOException">It went away before it answered.</exception>
    public static async Task<ControlReply?> AskAsync(string path, ControlRequest request, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
        }
        catch (SocketException)
        {
            return null;
        }

        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream);
        try
        {
            await WriteLineAsync(stream, JsonSerializer.Serialize(request, CliJson.Shapes.ControlRequest), cancellationToken);
            string line = await reader.ReadLineAsync(cancellationToken)
                ?? throw new IOException("The mount's process went away before it answered; its log may say why.");
            return JsonSerializer.Deserialize(line, CliJson.Shapes.ControlReply);
        }
        catch (IOException error) when (error.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown })
        {
            // A caller who still waited to be let in when the mount's process closed its socket.
            return null;
        }
        catch (JsonException error)
        {
            throw new IOException("The mount's process answered what this program does not understand; both must be of one version.", error);
        }
    }

    /// <summary>Takes no more callers, and answers those that have asked.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        _listener.Dispose();
        _stop.Dispose();
    }

    private static async Task WriteLineAsync(NetworkStream stream, string line, CancellationToken cancellationToken)
        => await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(line + "\n"), cancellationToken);

    private async Task LoopAsync()
    {
        var answering = new List<Task>();
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptAsync(_stop.Token);
                answering.RemoveAll(task => task.IsCompleted);
                if (answering.Count >= MostCallers)
                    socket.Dispose();
                else
                    answering.Add(AnswerAsync(socket));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException)
        {
            // The end of the mount, or of what the system gives: umount then finds nobody and says so.
        }

        await Task.WhenAll(answering);
    }

    private async Task AnswerAsync(Socket socket)
    {
        try
        {
            await using var stream = new NetworkStream(socket, ownsSocket: true);
            await AnswerAsync(stream);
        }
        catch (Exception error) when (error is OperationCanceledException or IOException or SocketException or JsonException)
        {
            // A caller that sends nonsense, stalls or goes away concerns nobody else.
        }
    }

    private async Task AnswerAsync(NetworkStream stream)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        deadline.CancelAfter(RequestTimeout);
        var buffer = new byte[LongestRequest];
        int length = 0;
        while (!buffer.AsSpan(0, length).Contains((byte)'\n'))
        {
            int count = length < buffer.Length ? await stream.ReadAsync(buffer.AsMemory(length), deadline.Token) : 0;
            if (count == 0)
                return;
            length += count;
        }

        var request = JsonSerializer.Deserialize(buffer.AsSpan(0, length), CliJson.Shapes.ControlRequest);
        if (request is null)
            return;
        var reply = await _handle(request);
        await WriteLineAsync(stream, JsonSerializer.Serialize(reply, CliJson.Shapes.ControlReply), CancellationToken.None);
    }
}
