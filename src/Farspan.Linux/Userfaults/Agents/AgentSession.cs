using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Waiting;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>One client of an agent, from its first message until everything that it wrote is saved.</summary>
internal sealed class AgentSession : IDisposable
{
    /// <summary>Requests that are carried out at once; the next one is not read before one of them ends.</summary>
    private const int MostRequests = 16;

    private readonly AgentChannel _channel;
    private readonly AgentPeer _peer;
    private readonly long _number;
    private readonly IBackend _backend;
    private readonly RangeClaims _claims;
    private readonly UserfaultAgentOptions _options;
    private readonly SemaphoreSlim _slots = new(MostRequests, MostRequests);
    private readonly RunningTasks _requests = new();
    private readonly CancellationTokenSource _ending = new();
    private RangeClaim? _claim;
    private AgentRegion? _region;
    private SharedMemoryEnd _end;
    private bool _isGreeted;
    private long _lost;
    private bool _isClosed;

    public AgentSession(Socket socket, AgentPeer peer, long number, IBackend backend, RangeClaims claims, UserfaultAgentOptions options)
    {
        _channel = new AgentChannel(socket);
        _peer = peer;
        _number = number;
        _backend = backend;
        _claims = claims;
        _options = options;
    }

    /// <summary>Serves the client until it closes, goes, or has to go.</summary>
    /// <returns>Bytes that it wrote and that are lost.</returns>
    public async Task<long> RunAsync(CancellationToken stopping)
    {
        _options.Logger.LogConnected(_number, _peer.ProcessId, _peer.UserId);
        string? reason = null;
        var status = AgentStatus.Done;
        try
        {
            reason = await ServeAsync(stopping);
        }
        catch (AgentProtocolException error)
        {
            (status, reason) = (AgentStatus.Protocol, error.Message);
        }
        catch (OperationCanceledException)
        {
            (status, reason) = stopping.IsCancellationRequested
                ? (AgentStatus.Ending, "The agent ends.")
                : (AgentStatus.Refused, $"No memory was mapped within {_options.HandshakeTimeout.TotalSeconds:0.###} s.");
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            _end = SharedMemoryEnd.Left;
            reason = error.Message;
        }

        await EndAsync(reason);
        if (status == AgentStatus.Done)
            return _lost;
        _options.Logger.LogSentAway(_number, reason!);
        try
        {
            await _channel.EndAsync(status, reason!);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            // It has gone too.
        }

        return _lost;
    }

    public void Dispose()
    {
        _channel.Dispose();
        _ending.Dispose();
        _slots.Dispose();
    }

    private async Task<string?> ServeAsync(CancellationToken stopping)
    {
        using var patience = new CancellationTokenSource(_options.HandshakeTimeout, _options.Clock);
        using var early = CancellationTokenSource.CreateLinkedTokenSource(stopping, patience.Token);
        using var late = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        while (!_isClosed)
        {
            var token = _region is null ? early.Token : late.Token;
            await _slots.WaitAsync(token);
            var receiving = _channel.ReceiveAsync(token);
            if (_region is not null && await Task.WhenAny(receiving, _region.Broken) != receiving)
            {
                await late.CancelAsync();
                await receiving.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
                throw new AgentProtocolException("The faults of the client's memory cannot be read any more: it has changed its descriptor's flags.");
            }

            if (await receiving is not var (request, descriptors))
            {
                _end = SharedMemoryEnd.Left;
                return "It ended the connection without closing.";
            }

            if (!_isGreeted && request.Message != AgentMessage.Hello)
            {
                Array.ForEach(descriptors, static descriptor => descriptor.Dispose());
                throw new AgentProtocolException("The first message has to be a hello.");
            }

            if (_region is null || request.Message is AgentMessage.Hello or AgentMessage.Map or AgentMessage.Close)
            {
                await HandleAsync(request, descriptors, token);
                _slots.Release();
                continue;
            }

            _requests.Run(static state => state.Session.RunRequestAsync(state.Request), (Session: this, Request: request));
        }

        return null;
    }

    private Task HandleAsync(AgentRequest request, SafeDescriptor[] descriptors, CancellationToken cancellationToken) => request.Message switch
    {
        AgentMessage.Hello => GreetAsync(request),
        AgentMessage.Map => MapAsync(request, descriptors, cancellationToken),
        _ when _region is null => _channel.RefuseAsync(request, AgentStatus.Invalid, "No memory is mapped yet."),
        _ => CloseAsync(request, cancellationToken),
    };

    private Task GreetAsync(AgentRequest request)
    {
        if (_isGreeted)
            throw new AgentProtocolException("There was a hello before.");
        if (request.Hello.LowestVersion > AgentHello.Version || request.Hello.HighestVersion < AgentHello.Version)
            throw new AgentProtocolException($"This agent speaks version {AgentHello.Version} of its protocol, and not {request.Hello.LowestVersion} to {request.Hello.HighestVersion}.");
        _isGreeted = true;
        bool isReadOnly = _options.ReadOnly || _backend.IsReadOnly;
        var welcome = new AgentWelcome(isReadOnly, _backend.Length, _options.MaximumBytes ?? _backend.Length, _options.ChunkSize, Environment.SystemPageSize);
        return _channel.ReplyAsync(request, AgentWelcome.Size, bytes => welcome.Write(bytes));
    }

    private async Task MapAsync(AgentRequest request, SafeDescriptor[] descriptors, CancellationToken cancellationToken)
    {
        try
        {
            var mapping = request.Mapping;
            if (Refusal(mapping) is var (refusal, text))
            {
                await _channel.RefuseAsync(request, refusal, text);
                return;
            }

            _claim = _claims.TryClaim(mapping.Offset, mapping.Length, mapping.IsWritable);
            if (_claim is null)
            {
                await _channel.RefuseAsync(request, AgentStatus.Busy, $"Another client has mapped a part of the {mapping.Length} bytes at {mapping.Offset}, and what one writes nobody else may map.");
                return;
            }

            _region = await AgentRegion.OpenAsync(mapping, descriptors[0], descriptors[1], _backend, _options, $"client {_number}", cancellationToken);
            descriptors = [];
        }
        catch (BackendException error)
        {
            Unclaim();
            await _channel.RefuseAsync(request, StatusOf(error), error.Message);
            return;
        }
        catch
        {
            Unclaim();
            throw;
        }
        finally
        {
            foreach (var descriptor in descriptors)
                descriptor.Dispose();
        }

        _options.OnClient?.Invoke(Report(hasGone: false, null));
        await _channel.ReplyAsync(request, sizeof(ulong), bytes => BitConverter.TryWriteBytes(bytes, _region.CanPoison ? 1UL : 0UL));
    }

    private (AgentStatus Status, string Text)? Refusal(AgentMapping mapping)
    {
        long page = Environment.SystemPageSize;
        if (_region is not null)
            return (AgentStatus.Invalid, "There is one region for each connection; connect again for another.");
        if (mapping.Length <= 0 || !BackendRange.Contains(_backend.Length, mapping.Offset, mapping.Length))
            return (AgentStatus.Invalid, $"{mapping.Length} bytes at {mapping.Offset} are not inside the backend's {_backend.Length}.");
        if (mapping.Offset % page != 0 || mapping.Address % (ulong)page != 0 || mapping.Address > long.MaxValue)
            return (AgentStatus.Invalid, $"The offset and the address have to be multiples of {page}.");
        if (mapping.Length > (_options.MaximumBytes ?? long.MaxValue))
            return (AgentStatus.Refused, $"A client may map {_options.MaximumBytes} bytes, and {mapping.Length} were asked for.");
        return mapping.IsWritable && (_options.ReadOnly || _backend.IsReadOnly) ? (AgentStatus.ReadOnly, "What this agent serves is for reading only.") : null;
    }

    private async Task RunRequestAsync(AgentRequest request)
    {
        // Not on the loop that reads.
        await Task.Yield();
        try
        {
            await AnswerAsync(request);
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException)
        {
            // It does not take replies: its end is seen by who reads.
        }
        finally
        {
            _slots.Release();
        }
    }

    private async Task AnswerAsync(AgentRequest request)
    {
        try
        {
            switch (request.Message)
            {
                case AgentMessage.Flush:
                    await _region!.FlushAsync(_ending.Token).WaitAsync(_ending.Token);
                    break;
                case AgentMessage.Prefetch when request.Range.Length < 0 || !BackendRange.Contains(_region!.Mapping.Length, request.Range.Offset, request.Range.Length):
                    await _channel.RefuseAsync(request, AgentStatus.Invalid, $"{request.Range.Length} bytes at {request.Range.Offset} are not inside the region's {_region!.Mapping.Length}.");
                    return;
                case AgentMessage.Prefetch:
                    await _region.PrefetchAsync(request.Range, _ending.Token);
                    break;
                default:
                    var figures = _region!.Figures;
                    await _channel.ReplyAsync(request, AgentFigures.Size, bytes => figures.Write(bytes));
                    return;
            }
        }
        catch (BackendException error)
        {
            await _channel.RefuseAsync(request, StatusOf(error), error.Message);
            return;
        }
        catch (OperationCanceledException)
        {
            await _channel.RefuseAsync(request, AgentStatus.Ending, "The region ends.");
            return;
        }

        await _channel.ReplyAsync(request);
    }

    private async Task CloseAsync(AgentRequest request, CancellationToken cancellationToken)
    {
        await _ending.CancelAsync();
        await _requests.WhenIdleAsync(CancellationToken.None);
        try
        {
            await _region!.FlushAsync(cancellationToken).WaitAsync(cancellationToken);
        }
        catch (BackendException error)
        {
            await _channel.RefuseAsync(request, StatusOf(error), error.Message);
            return;
        }

        _isClosed = true;
        _end = SharedMemoryEnd.HandedBack;
        await EndAsync(null);
        await _channel.ReplyAsync(request);
    }

    /// <summary>Saves what can be saved, and lets the region go.</summary>
    private async Task EndAsync(string? reason)
    {
        if (_region is not { } region)
            return;
        await _ending.CancelAsync();
        await _requests.WhenIdleAsync(CancellationToken.None);
        var failure = await region.SaveAtLastAsync();
        _lost = region.Figures.Unsaved;
        await region.StopAsync(_end);
        Unclaim();
        if (_lost > 0)
            _options.Logger.LogLost(_number, _lost, failure?.Message);
        _options.OnClient?.Invoke(Report(hasGone: true, failure?.Message ?? reason));
        _region = null;
    }

    private void Unclaim()
    {
        if (_claim is { } claim)
            _claims.Release(claim);
        _claim = null;
    }

    private AgentClientReport Report(bool hasGone, string? error) => new()
    {
        Number = _number,
        ProcessId = _peer.ProcessId,
        UserId = _peer.UserId,
        HasGone = hasGone,
        Offset = _region!.Mapping.Offset,
        Length = _region.Mapping.Length,
        IsWritable = _region.Mapping.IsWritable,
        BroughtBytes = _region.Counters.FilledBytes,
        SavedBytes = _region.Counters.SavedBytes,
        LostBytes = _lost,
        Faults = _region.Counters.Faults,
        Error = error ?? _region.Counters.LastError?.Message,
    };

    private static AgentStatus StatusOf(BackendException error) => error.Error switch
    {
        BackendError.Invalid => AgentStatus.Invalid,
        BackendError.NotSupported => AgentStatus.NotSupported,
        BackendError.ReadOnly => AgentStatus.ReadOnly,
        _ => AgentStatus.Failed,
    };
}
