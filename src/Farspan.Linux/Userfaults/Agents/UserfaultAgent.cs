using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Transports;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>
/// Serves remote bytes as memory of other processes: a client sends its userfault descriptor and a file of shared memory over a Unix socket, and its page
/// faults are answered here, from any backend; what it writes is found and saved. <see cref="AgentMemory"/> is such a client; docs/wire/uffd-agent.md is for others.
/// </summary>
public sealed class UserfaultAgent : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Everybody = OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    private readonly StreamListener _listener;
    private readonly IBackend _backend;
    private readonly UserfaultAgentOptions _options;
    private readonly RangeClaims _claims = new();
    private readonly List<Task<long>> _sessions = [];
    private long _number;
    private long _lost;

    private UserfaultAgent(StreamListener listener, IBackend backend, UserfaultAgentOptions options)
    {
        _listener = listener;
        _backend = backend;
        _options = options;
    }

    /// <summary>The socket's path.</summary>
    public string SocketPath => _listener.Endpoint.Path!;

    /// <summary>Binds the socket; nobody is served before <see cref="RunAsync"/>.</summary>
    /// <param name="socketPath">Where clients connect. A socket that nobody answers on is replaced.</param>
    /// <param name="backend">What is served; not owned.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="IOException">The socket cannot be bound there.</exception>
    public static UserfaultAgent Bind(string socketPath, IBackend backend, UserfaultAgentOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(backend);
        options ??= new UserfaultAgentOptions();
        options.Validate();
        var listener = StreamListener.Bind(StreamEndpoint.Unix(Path.GetFullPath(socketPath)));
        try
        {
            // Who connects before this is looked at as everybody is.
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(listener.Endpoint.Path!, options.AllowedUsers is null ? OwnerOnly : Everybody);
            return new UserfaultAgent(listener, backend, options);
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    /// <summary>Serves clients until cancelled; then saves what they wrote, and leaves them. Once.</summary>
    /// <exception cref="MountException">Something that a client wrote could not be saved; the message says how much.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            await AcceptAsync(stopping.Token);
        }
        finally
        {
            _listener.Dispose();
            await stopping.CancelAsync();
            _lost += (await Task.WhenAll(_sessions)).Sum();
        }

        if (_lost > 0)
            throw new MountException($"{_lost} bytes that clients wrote could not be saved, and are lost.");
    }

    /// <summary>Listens no more.</summary>
    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                var stream = await _listener.AcceptAsync(stopping);
                Forget();
                long number = ++_number;
                int others = _sessions.Count;
                _sessions.Add(Task.Run(() => ServeAsync(stream.Socket, number, others, stopping), CancellationToken.None));
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException error)
            {
                // For lack of descriptors, for example; they come back.
                _options.Logger.LogAcceptFailed(error);
                await Task.Delay(s_pause, _options.Clock, stopping).ContinueWith(static _ => { }, TaskScheduler.Default);
            }
        }
    }

    private void Forget()
    {
        foreach (var ended in _sessions.FindAll(static session => session.IsCompletedSuccessfully))
        {
            _lost += ended.Result;
            _sessions.Remove(ended);
        }
    }

    private async Task<long> ServeAsync(Socket socket, long number, int others, CancellationToken stopping)
    {
        AgentPeer peer;
        try
        {
            peer = AgentPeer.Of(socket);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            socket.Dispose();
            return 0;
        }

        string? refusal = _options.Allows(peer.UserId) ? null : $"User {peer.UserId} may not use this agent; it can be allowed with --allow.";
        if (refusal is null && others >= _options.MaximumClients)
            refusal = $"There are {_options.MaximumClients} clients, which is as many as may be at once.";
        if (refusal is not null)
        {
            await SendAwayAsync(socket, number, refusal);
            return 0;
        }

        using var session = new AgentSession(socket, peer, number, _backend, _claims, _options);
        return await session.RunAsync(stopping);
    }

    private async Task SendAwayAsync(Socket socket, long number, string refusal)
    {
        _options.Logger.LogSentAway(number, refusal);
        using var channel = new AgentChannel(socket);
        try
        {
            await channel.EndAsync(AgentStatus.Refused, refusal);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            // It has gone.
        }
    }
}
