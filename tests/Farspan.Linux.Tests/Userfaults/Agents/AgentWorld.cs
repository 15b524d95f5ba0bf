using System.Collections.Concurrent;
using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults.Agents;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>An agent of this process over known bytes.</summary>
/// <remarks>Clients of the same process touch their memory by native code only: managed code would wait where the collector waits for it.</remarks>
internal sealed class AgentWorld : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private readonly MemoryBackend _store;

    public AgentWorld(int length = 1 << 20, UserfaultAgentOptions? options = null, bool isReadOnly = false)
    {
        Bytes = new byte[length];
        new Random(length).NextBytes(Bytes);
        _store = new MemoryBackend(length);
        _store.WriteAsync(0, Bytes).AsTask().GetAwaiter().GetResult();
        Faulty = new FaultyBackend(_store, isLate: length % 3 == 0);
        options = (options ?? new UserfaultAgentOptions()) with { OnClient = Reports.Enqueue };
        Agent = UserfaultAgent.Bind(_directory["agent"], Faulty, options with { ReadOnly = isReadOnly });
        _running = Agent.RunAsync(_stop.Token);
    }

    public static UserfaultAgentOptions Small => new() { ChunkSize = 16 << 10, ReadAhead = 0, CloseTimeout = TimeSpan.FromSeconds(1) };

    public UserfaultAgent Agent { get; }

    public string Socket => Agent.SocketPath;

    /// <summary>What the backend held at the start.</summary>
    public byte[] Bytes { get; }

    public FaultyBackend Faulty { get; }

    public ConcurrentQueue<AgentClientReport> Reports { get; } = new();

    public static unsafe byte Touch(AgentMemory memory, long offset)
    {
        byte found = 0;
        Libc.CopyMemory(&found, (byte*)memory.Address + offset, 1);
        return found;
    }

    public static unsafe void Read(AgentMemory memory, long offset, Span<byte> to)
    {
        fixed (byte* start = to)
            Libc.CopyMemory(start, (byte*)memory.Address + offset, (nuint)to.Length);
    }

    public static unsafe void Write(AgentMemory memory, long offset, ReadOnlySpan<byte> from)
    {
        fixed (byte* start = from)
            Libc.CopyMemory((byte*)memory.Address + offset, start, (nuint)from.Length);
    }

    public Task<AgentMemory> MapAsync(AgentMemoryOptions? options = null) => AgentMemory.MapAsync(Socket, options);

    /// <summary>What the backend holds now.</summary>
    public byte[] Stored(long offset, int length)
    {
        byte[] found = new byte[length];
        _store.ReadAsync(offset, found).AsTask().GetAwaiter().GetResult();
        return found;
    }

    /// <summary>The report of a client that has gone.</summary>
    public async Task<AgentClientReport> GoneAsync(long number)
    {
        await Eventually.HoldsAsync(() => Reports.Any(report => report.HasGone && report.Number == number));
        return Reports.Single(report => report.HasGone && report.Number == number);
    }

    /// <summary>Ends the agent.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await StopAsync();
        }
        finally
        {
            Assert.False(File.Exists(Socket));
            await Faulty.DisposeAsync();
            _stop.Dispose();
            _directory.Dispose();
        }
    }
}
