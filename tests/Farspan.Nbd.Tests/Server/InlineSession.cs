using Farspan.Backends;
using Farspan.Nbd.Server;
using Farspan.TestKit.Transports;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>The transmission phase alone, over an <see cref="ArrayChannel"/>, on the caller's thread.</summary>
internal sealed class InlineSession
{
    private readonly BufferPool _pool;
    private readonly ServerBudget _budget;
    private readonly ServedExport _export;

    private Flight? _flight;

    public InlineSession(IBackend backend, int maximumRequestBytes = 1 << 20, ServerBudget? budget = null, BufferPool? pool = null)
    {
        _pool = pool ?? new BufferPool();
        _export = new ServedExport(new NbdExport { Backend = backend }, maximumRequestBytes);
        _budget = budget ?? new ServerBudget(1L << 40);
    }

    public ArrayChannel Channel { get; } = new();

    /// <summary>Serves <paramref name="input"/> to its end and returns why it ended; checks that nothing is left in flight.</summary>
    public string? Run(byte[] input, HeaderForm form, Action? beforeEnd = null)
    {
        long held = _budget.Bytes;
        Channel.Reset(input);
        var progress = new ConnectionProgress();
        var flight = new Flight(1_000_000, 1L << 40, _budget);
        _flight = flight;
        string? reason;
        using (var outbox = new Outbox(Channel, _pool, flight, progress, "test"))
        {
            var replies = new Replies(outbox, _pool, flight, (HeaderMode)form);
            var context = new OperationContext(_export, flight, replies, NullLogger.Instance, "test", CancellationToken.None);
            using var reader = new RequestReader(Channel, _pool, flight, progress, outbox);
            reason = new Transmission(reader, outbox, replies, new FlightBuffers(_pool, flight, outbox), context, form != HeaderForm.Simple ? 1UL : 0).Run();
            beforeEnd?.Invoke();
        }

        Assert.Equal(0, flight.Operations);
        Assert.Equal(held, _budget.Bytes);
        Assert.Equal(0, _pool.Outstanding);
        return reason;
    }

    /// <summary>For the end of a session whose requests end on other threads.</summary>
    public void WaitUntilIdle() => Assert.True(_flight!.WaitUntilIdle(TimeSpan.FromSeconds(30)));
}
