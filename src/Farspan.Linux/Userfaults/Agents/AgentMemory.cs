using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Mounts;
using Farspan.Transports;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>
/// Remote bytes as memory of this process whose page faults another process answers, an agent (<c>farspan uffd-agent</c>): spans over all of it are safe beside
/// the garbage collector, and what is touched is brought.
/// </summary>
/// <remarks>
/// <para>A touch of what cannot be brought ends this process (SIGBUS). So does every touch after the agent has ended, what was in memory too: what it did not save
/// is lost then. <see cref="Lost"/> tells of that. Whoever would rather have exceptions uses <see cref="RemoteMemory"/>.</para>
/// <para>Several threads may use the same bytes as they may use any memory. All members are thread-safe. Spans must not be used once it is closed.</para>
/// </remarks>
public sealed class AgentMemory : IAsyncDisposable
{
    // The agent ends the connection once it has done with the memory.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly AgentConnection _connection;
    private readonly TaskCompletionSource<string> _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private SafeDescriptor? _faults;
    private SafeDescriptor? _file;
    private nint _address = -1;
    private long _mappedLength;
    private bool _isClosing;
    private Task? _closing;

    private AgentMemory(StreamEndpoint endpoint, CancellationToken cancellationToken)
        => _connection = new AgentConnection(StreamDialer.Connect(endpoint, "the agent", cancellationToken).Socket, Lose);

    /// <summary>Number of bytes.</summary>
    public long Length { get; private set; }

    /// <summary>Whether it is for reading only; a write ends the process.</summary>
    public bool IsReadOnly { get; private set; }

    /// <summary>The address of the first byte.</summary>
    public nint Address => _address;

    /// <summary>Completes, with the reason, when the agent has ended before this was closed. Touches end in SIGBUS by then.</summary>
    public Task<string> Lost => _lost.Task;

    /// <summary>Connects to an agent, and maps what it serves.</summary>
    /// <param name="agent">The path of its socket, as such or as <c>unix:PATH</c>.</param>
    /// <param name="options">What of it; null for all.</param>
    /// <param name="cancellationToken">Gives up; nothing stays open.</param>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="BackendException">The agent cannot be reached or refuses; or this kernel or user has no userfaults.</exception>
    public static async Task<AgentMemory> MapAsync(string agent, AgentMemoryOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(agent);
        options ??= new AgentMemoryOptions();
        options.Validate();
        string path = agent.StartsWith("unix:", StringComparison.Ordinal) ? agent["unix:".Length..] : agent;
        var memory = new AgentMemory(StreamEndpoint.Unix(Path.GetFullPath(path)), cancellationToken);
        try
        {
            await memory.OpenAsync(options, cancellationToken).WaitAsync(options.ConnectTimeout, cancellationToken);
            return memory;
        }
        catch (Exception error)
        {
            await memory.LeaveAsync();
            if (error is TimeoutException)
                throw new BackendException(BackendError.TimedOut, $"The agent at {path} did not map within {options.ConnectTimeout.TotalSeconds:0.###} s.", error);
            throw;
        }
    }

    /// <summary>A range, to read and to write. What is absent comes when it is touched; what is written is saved in the background and durable after a flush.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the memory.</exception>
    /// <exception cref="InvalidOperationException">It is for reading only.</exception>
    /// <exception cref="ObjectDisposedException">It is closed.</exception>
    public unsafe Span<byte> GetSpan(long offset, int length)
    {
        if (IsReadOnly)
            throw new InvalidOperationException("The memory is for reading only; use GetReadOnlySpan.");
        Check(offset, length);
        return new Span<byte>((byte*)_address + offset, length);
    }

    /// <summary>A range, to read. What is absent comes when it is touched.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the memory.</exception>
    /// <exception cref="ObjectDisposedException">It is closed.</exception>
    public unsafe ReadOnlySpan<byte> GetReadOnlySpan(long offset, int length)
    {
        Check(offset, length);
        return new ReadOnlySpan<byte>((byte*)_address + offset, length);
    }

    /// <summary>Returns once everything that was written before is durable at the agent's backend.</summary>
    /// <exception cref="BackendException">It is not; the agent tries again what could not be saved.</exception>
    /// <exception cref="ObjectDisposedException">It is closed.</exception>
    public async Task FlushAsync(CancellationToken cancellationToken = default)
    {
        Check(0, 0);
        await _connection.AskAsync(AgentMessage.Flush, []).WaitAsync(cancellationToken);
    }

    /// <summary>Brings a range ahead of its use, as far as the agent's resident limit allows. What could not be brought before is asked for again.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the memory.</exception>
    /// <exception cref="BackendException">Something cannot be brought.</exception>
    /// <exception cref="ObjectDisposedException">It is closed.</exception>
    public Task PrefetchAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        Check(offset, length);
        Span<byte> body = stackalloc byte[AgentRange.Size];
        new AgentRange(offset, length).Write(body);
        return _connection.AskAsync(AgentMessage.Prefetch, body).WaitAsync(cancellationToken);
    }

    /// <summary>How it is, as the agent says.</summary>
    /// <exception cref="BackendException">The agent has ended.</exception>
    /// <exception cref="ObjectDisposedException">It is closed.</exception>
    public async Task<AgentMemoryStatus> GetStatusAsync(CancellationToken cancellationToken = default)
    {
        Check(0, 0);
        byte[] body = await _connection.AskAsync(AgentMessage.Status, []).WaitAsync(cancellationToken);
        if (!AgentFigures.TryRead(body, out var figures))
            throw new BackendException(BackendError.Protocol, "The agent's status is not as it has to be.");
        return new AgentMemoryStatus
        {
            Length = figures.Length,
            ResidentBytes = figures.Resident,
            UnsavedBytes = figures.Unsaved,
            BroughtBytes = figures.Brought,
            SavedBytes = figures.Saved,
            EvictedBytes = figures.Evicted,
            Faults = figures.Faults,
        };
    }

    /// <summary>Has everything saved and made durable, and gives the memory back. No span may be in use any more.</summary>
    /// <exception cref="MountException">The agent could not do that, or has ended before. As long as it runs it goes on trying for a while.</exception>
    public Task CloseAsync()
    {
        lock (_gate)
            return _closing ??= CloseOnceAsync();
    }

    /// <summary>Closes, where that has not been done.</summary>
    /// <exception cref="MountException">As of <see cref="CloseAsync"/>.</exception>
    public async ValueTask DisposeAsync()
    {
        if (_closing is null)
            await CloseAsync();
    }

    private async Task OpenAsync(AgentMemoryOptions options, CancellationToken cancellationToken)
    {
        byte[] body = new byte[AgentHello.Size];
        new AgentHello(AgentHello.Version, AgentHello.Version).Write(body);
        if (!AgentWelcome.TryRead(await _connection.AskAsync(AgentMessage.Hello, body).WaitAsync(cancellationToken), out var welcome))
            throw new BackendException(BackendError.Protocol, "The agent's hello is not as it has to be.");
        IsReadOnly = options.ReadOnly || welcome.IsReadOnly;
        Length = options.Length ?? welcome.Length - options.Offset;
        BackendRange.Check(welcome.Length, options.Offset, Length);
        Map();
        body = new byte[AgentMapping.Size];
        new AgentMapping((ulong)_address, options.Offset, Length, !IsReadOnly).Write(body);
        await _connection.AskAsync(AgentMessage.Map, body, _faults!, _file!).WaitAsync(cancellationToken);
    }

    private void Map()
    {
        long page = Environment.SystemPageSize;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isClosing, this);
            _mappedLength = Math.Max(page, (Length + page - 1) & -page);
            _faults = UserfaultDescriptor.OpenNew();
            _file = new SafeDescriptor(Libc.CreateMemoryFile("farspan", Libc.MFD_CLOEXEC));
            if (_file.IsInvalid || Libc.Truncate(_file, _mappedLength) != 0)
                throw LinuxError.Exception(LinuxError.Last, $"making {_mappedLength} bytes of shared memory");
            int protection = IsReadOnly ? Libc.PROT_READ : Libc.PROT_READ | Libc.PROT_WRITE;
            _address = Libc.Map(0, (nuint)_mappedLength, protection, Libc.MAP_SHARED | Libc.MAP_NORESERVE, _file, 0);
            if (_address == -1)
                throw LinuxError.Exception(LinuxError.Last, $"mapping {_mappedLength} bytes of memory");

            // A child would read zeroes, and the file would have them from then on for this process too. A core dump would bring everything.
            foreach (int advice in (ReadOnlySpan<int>)[Libc.MADV_DONTFORK, Libc.MADV_DONTDUMP])
                _ = Libc.Advise(_address, (nuint)_mappedLength, advice);
        }
    }

    private void Check(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_isClosing, this);
        BackendRange.Check(Length, offset, length);
    }

    /// <summary>The connection has ended. In this order: with no bytes left in the file, no touch finds zeroes once nobody answers faults any more.</summary>
    private void Lose(string reason)
    {
        _ended.TrySetResult();
        lock (_gate)
        {
            if (_isClosing)
                return;
            if (_file is { IsInvalid: false })
                _ = Libc.Truncate(_file, 0);
            _faults?.Dispose();
        }

        _lost.TrySetResult(reason);
    }

    private async Task CloseOnceAsync()
    {
        await Task.Yield();
        try
        {
            if (_lost.Task.IsCompleted)
                throw new BackendException(BackendError.Disconnected, await _lost.Task);
            await _connection.AskAsync(AgentMessage.Close, []);
            Free(canUnmap: true);
        }
        catch (BackendException error)
        {
            await LeaveAsync();
            throw new MountException($"What was written may not be durable: {error.Message}", error);
        }
    }

    private async Task LeaveAsync()
    {
        lock (_gate)
            _isClosing = true;
        _connection.End();
        await _ended.Task.WaitAsync(s_patience).ContinueWith(static _ => { }, TaskScheduler.Default);
        Free(_ended.Task.IsCompleted);
    }

    /// <summary>Lets everything go. As long as the agent may still bring pages, the place is not given to other memory, which might get them.</summary>
    private void Free(bool canUnmap)
    {
        lock (_gate)
        {
            _isClosing = true;
            if (_address != -1 && canUnmap)
                _ = Libc.Unmap(_address, (nuint)_mappedLength);
            else if (_address != -1)
                _ = Libc.Protect(_address, (nuint)_mappedLength, 0);
            _address = -1;
            _faults?.Dispose();
            _file?.Dispose();
        }

        _connection.Dispose();
    }
}
