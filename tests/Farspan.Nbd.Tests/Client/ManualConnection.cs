using System.Threading.Channels;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Tests.Client;

/// <summary>One connection of a <see cref="ManualServer"/>.</summary>
internal sealed class ManualConnection(ScriptedConnection connection, VolatileStore store, Func<RequestHeader, bool>? hold)
{
    private readonly Channel<(RequestHeader Header, byte[] Payload)> _held = Channel.CreateUnbounded<(RequestHeader Header, byte[] Payload)>();
    private readonly Lock _lock = new();
    private Func<RequestHeader, bool>? _hold = hold;

    /// <summary>Holds requests from now on; null for none.</summary>
    public void Hold(Func<RequestHeader, bool>? hold)
    {
        lock (_lock)
            _hold = hold;
    }

    /// <summary>Waits until a request is held; it stays where it is.</summary>
    public Task HoldsAsync() => _held.Reader.WaitToReadAsync().AsTask();

    /// <summary>The next request that is held.</summary>
    public ValueTask<(RequestHeader Header, byte[] Payload)> NextAsync() => _held.Reader.ReadAsync();

    /// <summary>The next request that is held; null when the connection has ended.</summary>
    public async Task<(RequestHeader Header, byte[] Payload)?> TryNextAsync()
        => await _held.Reader.WaitToReadAsync() && _held.Reader.TryRead(out var request) ? request : null;

    /// <summary>The next so many requests that are held.</summary>
    public async Task<List<(RequestHeader Header, byte[] Payload)>> NextAsync(int count)
    {
        var requests = new List<(RequestHeader Header, byte[] Payload)>();
        while (requests.Count < count)
            requests.Add(await NextAsync());
        return requests;
    }

    /// <summary>Carries a held request out and answers it, or answers with an error.</summary>
    public async Task AnswerAsync((RequestHeader Header, byte[] Payload) request, NbdErrno refusal = NbdErrno.Ok)
    {
        if (request.Header.Command == NbdCommand.Disconnect)
        {
            Cut();
            return;
        }

        var (error, data) = refusal == NbdErrno.Ok ? store.Carry(request.Header, request.Payload) : (refusal, []);
        await connection.AnswerAsync(request.Header, data, error);
    }

    /// <summary>Holds nothing any more, and answers these and all that were held.</summary>
    public async Task ReleaseAsync(params IEnumerable<(RequestHeader Header, byte[] Payload)> taken)
    {
        Hold(null);
        foreach (var request in taken)
            await AnswerAsync(request);
        while (_held.Reader.TryRead(out var request))
            await AnswerAsync(request);
    }

    public void Cut() => connection.Cut();

    public async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                var request = await connection.ReadRequestAsync();
                lock (_lock)
                {
                    if (_hold?.Invoke(request.Header) == true)
                    {
                        _held.Writer.TryWrite(request);
                        continue;
                    }
                }

                await AnswerAsync(request);
            }
        }
        finally
        {
            _held.Writer.Complete();
        }
    }
}
