using System.Collections.Concurrent;
using System.Net.Sockets;
using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.Transports;

namespace Farspan.Nbd.Tests.Client;

/// <summary>A server on a real socket that does to each client what a script says, well-behaved or not.</summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly StreamListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<ScriptedConnection> _connections = [];
    private readonly Task _accepting;
    private int _accepted;

    /// <summary>Runs <paramref name="script"/> on every connection with its number from 0; the connection is closed after it.</summary>
    public ScriptedServer(Func<ScriptedConnection, int, Task> script)
    {
        _listener = StreamListener.Bind(StreamEndpoint.Unix(_directory["s"]));
        _accepting = AcceptAsync(script);
    }

    /// <summary>Options with time-outs that a test outlives.</summary>
    public NbdClientOptions Options => new()
    {
        Endpoint = _listener.Endpoint,
        ConnectTimeout = TimeSpan.FromSeconds(90),
        RequestTimeout = TimeSpan.FromSeconds(20),
        ReconnectTimeout = TimeSpan.Zero,
        CloseTimeout = TimeSpan.FromMilliseconds(200),
    };

    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>Cuts every connection there is.</summary>
    public void CutAll()
    {
        foreach (var connection in _connections)
            connection.Cut();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        CutAll();
        await _accepting;
        _listener.Dispose();
        _stop.Dispose();
        _directory.Dispose();
    }

    private async Task AcceptAsync(Func<ScriptedConnection, int, Task> script)
    {
        var running = new List<Task>();
        try
        {
            while (true)
            {
                var stream = await _listener.AcceptAsync(_stop.Token);
                var connection = new ScriptedConnection(stream);
                _connections.Add(connection);
                int number = Interlocked.Increment(ref _accepted) - 1;
                running.Add(Task.Run(() => RunAsync(script, connection, number)));
            }
        }
        catch (OperationCanceledException)
        {
        }

        CutAll();
        await Task.WhenAll(running);
    }

    private static async Task RunAsync(Func<ScriptedConnection, int, Task> script, ScriptedConnection connection, int number)
    {
        try
        {
            await script(connection, number);
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException)
        {
            // The client went away, or the test ended.
        }
        finally
        {
            connection.Cut();
        }
    }
}
