using System.Collections.Concurrent;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Tests.Client;

/// <summary>A server that carries out requests in stores, except those that a test holds, to answer them when it wants.</summary>
internal sealed class ManualServer : IAsyncDisposable
{
    private readonly ConcurrentDictionary<int, TaskCompletionSource<ManualConnection>> _connections = new();
    private readonly ScriptedServer _server;

    /// <summary>Starts it.</summary>
    /// <param name="script">The negotiation of each connection, by its number from 0; null closes it.</param>
    /// <param name="store">Where each connection leads.</param>
    /// <param name="hold">What is held of each connection from its first request on; null for nothing.</param>
    public ManualServer(Func<int, ServerScript?> script, Func<int, VolatileStore> store, Func<int, Func<RequestHeader, bool>?> hold)
        => _server = new ScriptedServer(async (connection, number) =>
        {
            if (script(number) is not { } agreed)
                return;
            var manual = new ManualConnection(connection, store(number), hold(number));
            await connection.NegotiateAsync(agreed);
            Promise(number).SetResult(manual);
            await manual.ServeAsync();
        });

    public NbdClientOptions Options => _server.Options;

    public int Accepted => _server.Accepted;

    /// <summary>The connection of a number, once it is agreed.</summary>
    public Task<ManualConnection> ConnectionAsync(int number) => Promise(number).Task;

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private TaskCompletionSource<ManualConnection> Promise(int number)
        => _connections.GetOrAdd(number, _ => new TaskCompletionSource<ManualConnection>(TaskCreationOptions.RunContinuationsAsynchronously));
}
