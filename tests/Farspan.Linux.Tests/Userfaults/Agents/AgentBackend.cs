using Farspan.Backends;
using Farspan.Linux.Userfaults.Agents;
using Farspan.TestKit;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>Memory that an agent serves, as a backend, so that what checks backends checks the memory.</summary>
internal sealed class AgentBackend : IBackend
{
    private readonly TemporaryDirectory _directory;
    private readonly CancellationTokenSource _stop;
    private readonly Task _agent;
    private readonly IBackend _remote;
    private readonly AgentMemory _memory;

    private AgentBackend(TemporaryDirectory directory, CancellationTokenSource stop, Task agent, IBackend remote, AgentMemory memory)
    {
        _directory = directory;
        _stop = stop;
        _agent = agent;
        _remote = remote;
        _memory = memory;
    }

    public long Length => _memory.Length;

    public bool IsReadOnly => _memory.IsReadOnly;

    public static async Task<AgentBackend> OpenAsync(IBackend remote, UserfaultAgentOptions options)
    {
        var directory = new TemporaryDirectory();
        var stop = new CancellationTokenSource();
        var agent = UserfaultAgent.Bind(directory["agent"], remote, options).RunAsync(stop.Token);
        return new AgentBackend(directory, stop, agent, remote, await AgentMemory.MapAsync($"unix:{directory["agent"]}"));
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        cancellationToken.ThrowIfCancellationRequested();
        _ = _memory.GetReadOnlySpan(offset, buffer.Length);
        AgentWorld.Read(_memory, offset, buffer.Span);
        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        cancellationToken.ThrowIfCancellationRequested();
        _ = _memory.GetSpan(offset, buffer.Length);
        AgentWorld.Write(_memory, offset, buffer.Span);
        return ValueTask.CompletedTask;
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await _memory.FlushAsync(cancellationToken);
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class => null;

    public async ValueTask DisposeAsync()
    {
        await _memory.DisposeAsync();
        if (_stop.IsCancellationRequested)
            return;
        await _stop.CancelAsync();
        await _agent;
        await _remote.DisposeAsync();
        _stop.Dispose();
        _directory.Dispose();
    }
}
