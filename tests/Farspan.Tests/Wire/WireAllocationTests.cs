using System.Threading.Tasks.Sources;
using Farspan.Backends;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>Requests allocate nothing, on either side, whether the backend answers at once or later.</summary>
public sealed class WireAllocationTests
{
    private const int Requests = 4000;

    [Theory]
    [InlineData(true, 4096)]
    [InlineData(true, 65536)]
    [InlineData(true, 262144)]
    [InlineData(false, 4096)]
    [InlineData(false, 65536)]
    [InlineData(false, 262144)]
    public async Task Server_AnswersAtOnce_WithoutAllocating(bool hasChecksums, int length)
    {
        await using var backend = new MemoryBackend(4 << 20);
        await backend.WriteAsync(0, new byte[4 << 20]);
        await CheckAsync(backend, hasChecksums, length);
    }

    [Theory]
    [InlineData(true, 4096)]
    [InlineData(false, 4096)]
    [InlineData(false, 65536)]
    public async Task Server_AnswersLater_WithoutAllocating(bool hasChecksums, int length)
    {
        await using var backend = new LateBackend();
        await CheckAsync(backend, hasChecksums, length);
    }

    [Fact(Timeout = 60_000)]
    public async Task Client_AsksWithoutAllocating()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        await using var client = await host.ConnectAsync();
        byte[] buffer = new byte[4096];
        for (int i = 0; i < 200; i++)
            Ask(client, buffer, i);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Requests; i++)
            Ask(client, buffer, i);

        long cost = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(cost / Requests < 16, $"{cost} bytes for {Requests} requests");
    }

    private static void Ask(FarspanClientBackend client, byte[] buffer, int i)
    {
        var task = i % 40 == 39 ? client.FlushAsync() : i % 4 == 3 ? client.WriteAsync(i % 10 * 4096, buffer) : client.ReadAsync(i % 10 * 4096, buffer);
        while (!task.IsCompleted)
            Thread.Yield();
        task.GetAwaiter().GetResult();
    }

    private static async Task CheckAsync(IBackend backend, bool hasChecksums, int length)
    {
        await using var host = new InlineConnection(backend);
        host.Channel.IsSafe = !hasChecksums;
        host.Channel.Output = null;
        host.Channel.LargestReceive = 50_000;
        host.FillPool(Math.Min(length, 65_536));
        byte[] hello = WireMessages.Hello();
        byte[] input = [.. hello, .. Mixed(length), .. WireMessages.Goodbye()];
        for (int warm = 0; warm < 3; warm++)
            host.Run(input);
        Assert.True(host.Channel.SentBytes > Requests / 2 * length);
        byte[] nothing = [.. hello, .. WireMessages.Goodbye()];
        long before = GC.GetAllocatedBytesForCurrentThread();
        host.Run(nothing);
        long fixedCost = GC.GetAllocatedBytesForCurrentThread() - before;
        before = GC.GetAllocatedBytesForCurrentThread();
        host.Run(input);
        long cost = GC.GetAllocatedBytesForCurrentThread() - before - fixedCost;

        // What is left are the tasks and replies that were in flight at most at one time, made once for a connection.
        Assert.True(cost / Requests < 20, $"{cost} bytes for {Requests} requests");
    }

    private static byte[] Mixed(int length)
    {
        using var bytes = new MemoryStream();
        byte[] payload = new byte[length];
        int requests = Math.Min(Requests, (256 << 20) / length);
        for (int i = 0; i < Requests; i++)
        {
            long offset = i % 10 * length;
            bool isWrite = i % (4 * (Requests / requests)) == 3;
            bytes.Write(isWrite ? WireMessages.Write(offset, payload, (uint)i) : WireMessages.Request(WireOperation.Read, offset, length, (uint)i));
            if (i % 100 == 99)
                bytes.Write(WireMessages.Request(WireOperation.Flush, id: (uint)i));
        }

        return bytes.ToArray();
    }

    /// <summary>Answers a while later, a flush at once after all before it; without allocating.</summary>
    private sealed class LateBackend : IBackend
    {
        private readonly Stack<Source> _spare = new();
        private readonly Queue<Source> _pending = new();

        public long Length => 1 << 20;

        public bool IsReadOnly => false;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default) => Later();

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => Later();

        public ValueTask FlushAsync(CancellationToken cancellationToken = default)
        {
            while (_pending.TryDequeue(out var source))
                source.Complete();
            return default;
        }

        public TCapability? GetCapability<TCapability>()
            where TCapability : class
            => null;

        public ValueTask DisposeAsync() => default;

        private ValueTask Later()
        {
            if (_pending.Count == 8)
                _pending.Dequeue().Complete();
            if (!_spare.TryPop(out var source))
                source = new Source(this);
            _pending.Enqueue(source);
            return source.Start();
        }

        private sealed class Source(LateBackend owner) : IValueTaskSource
        {
            private ManualResetValueTaskSourceCore<int> _core;

            public ValueTask Start() => new(this, _core.Version);

            public void Complete() => _core.SetResult(0);

            public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

            public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
                => _core.OnCompleted(continuation, state, token, flags);

            public void GetResult(short token)
            {
                _core.GetResult(token);
                _core.Reset();
                owner._spare.Push(this);
            }
        }
    }
}
