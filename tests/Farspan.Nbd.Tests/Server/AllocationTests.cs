using System.Threading.Tasks.Sources;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>Requests allocate nothing, whether the backend answers at once or later.</summary>
public sealed class AllocationTests
{
    private const int Requests = 10_000;

    [Theory]
    [InlineData(HeaderForm.Simple, 4096)]
    [InlineData(HeaderForm.Structured, 4096)]
    [InlineData(HeaderForm.Extended, 4096)]
    [InlineData(HeaderForm.Structured, 65536)]
    public async Task AnswersAtOnce_AllocateNothing(HeaderForm form, int length)
    {
        await using var backend = new MemoryBackend(1 << 20);
        await backend.WriteAsync(0, new byte[1 << 20]);
        Check(new InlineSession(backend), form, length, beforeReceive: null);
    }

    [Theory]
    [InlineData(HeaderForm.Simple, 4096)]
    [InlineData(HeaderForm.Structured, 4096)]
    [InlineData(HeaderForm.Extended, 65536)]
    public async Task AnswersLater_AllocateNothing(HeaderForm form, int length)
    {
        await using var backend = new LateBackend();
        Check(new InlineSession(backend), form, length, backend.CompleteAll);
    }

    private static void Check(InlineSession session, HeaderForm form, int length, Action? beforeReceive)
    {
        byte[] input = Mixed(form, length);
        session.Channel.Output = null;
        session.Channel.LargestReceive = 50_000;
        session.Channel.BeforeReceive = beforeReceive;
        for (int warm = 0; warm < 3; warm++)
            session.Run(input, form, beforeReceive);
        byte[] nothing = [];
        long before = GC.GetAllocatedBytesForCurrentThread();
        session.Run(nothing, form, beforeReceive);
        long fixedCost = GC.GetAllocatedBytesForCurrentThread() - before;
        before = GC.GetAllocatedBytesForCurrentThread();
        session.Run(input, form, beforeReceive);
        long cost = GC.GetAllocatedBytesForCurrentThread() - before - fixedCost;
        Assert.True(session.Channel.SentBytes > Requests / 2 * length);

        // What is left are the operations and messages that were in flight at most at one time, made once for a connection.
        Assert.InRange(cost, 0, 256 * 600);
        Assert.True(cost / Requests < 16, $"{cost} bytes for {Requests} requests");
    }

    private static byte[] Mixed(HeaderForm form, int length)
    {
        using var client = new ScriptedClient(Stream.Null) { Form = form };
        using var bytes = new MemoryStream();
        byte[] payload = new byte[length];
        for (int i = 0; i < Requests; i++)
        {
            ulong offset = (ulong)(i % 10 * length);
            bytes.Write(i % 4 == 3
                ? client.RequestBytes(NbdCommand.Write, offset, (ulong)length, payload)
                : client.RequestBytes(NbdCommand.Read, offset, (ulong)length));
            if (i % 100 == 0)
                bytes.Write(client.RequestBytes(NbdCommand.Flush, 0, 0));
        }

        return bytes.ToArray();
    }

    /// <summary>Answers when told, without allocating.</summary>
    private sealed class LateBackend : IBackend
    {
        private readonly Stack<Source> _spare = new();
        private readonly Queue<Source> _pending = new();

        public long Length => 1 << 20;

        public bool IsReadOnly => false;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            buffer.Span.Fill(7);
            return Later();
        }

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => Later();

        public ValueTask FlushAsync(CancellationToken cancellationToken = default) => Later();

        public TCapability? GetCapability<TCapability>()
            where TCapability : class
            => null;

        public ValueTask DisposeAsync() => default;

        public void CompleteAll()
        {
            while (_pending.TryDequeue(out var source))
                source.Complete();
        }

        private ValueTask Later()
        {
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
