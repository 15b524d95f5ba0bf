using Farspan.Backends;

namespace Farspan.TestKit.Simulation;

/// <summary>A <see cref="SimulatedLeaseServer"/> as the process of one host sees it: without a lease, or under one. One thread.</summary>
internal sealed class SimulatedTenant(
    SimulatedProcess process, SimulatedLine line, SimulatedLeaseServer server, TimeProvider clock, Guid session, long epoch = 0) : IBackend, IZero, ILeasing
{
    public long Length => server.Length;

    public bool IsReadOnly => false;

    public bool CanZeroFast => true;

    /// <summary>Is told when the server refuses what carries the epoch.</summary>
    public Action Fenced { get; init; } = static () => { };

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        return CallAsync(
            () =>
            {
                server.Read(offset, buffer.Span);
                return default;
            },
            cancellationToken);
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);

        // Sent as it is now.
        byte[] sent = buffer.ToArray();
        return CallAsync(() => server.ChangeAsync(session, epoch, bytes => sent.CopyTo(bytes, offset)), cancellationToken);
    }

    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        return CallAsync(() => server.ChangeAsync(session, epoch, bytes => bytes.AsSpan((int)offset, (int)length).Clear()), cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
        => CallAsync(() => server.FlushAsync(session, epoch), cancellationToken);

    public async ValueTask<ILease> AcquireAsync(string holder, Guid? key = null, CancellationToken cancellationToken = default)
    {
        SimulatedLease? lease = null;
        await CallAsync(
            async () =>
            {
                var given = await server.AcquireAsync(session, key!.Value, holder);
                lease = new SimulatedLease(given, server, clock, session, Call, Under(given.Epoch));
            },
            cancellationToken);
        lease!.Start();
        return lease;

        Func<SimulatedLease, IBackend> Under(long given)
            => lost => new SimulatedTenant(process, line, server, clock, session, given) { Fenced = lost.MarkLost };
        ValueTask Call(Func<ValueTask> atServer) => CallAsync(atServer, CancellationToken.None);
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(ILeasing) && epoch != 0 ? null : this as TCapability;

    public ValueTask DisposeAsync() => default;

    private ValueTask CallAsync(Func<ValueTask> atServer, CancellationToken cancellationToken) => process.ReturnAsync(async () =>
    {
        try
        {
            await line.CallAsync(
                () =>
                {
                    server.Gate.Touch(session);
                    return atServer();
                },
                cancellationToken);
        }
        catch (BackendException error) when (error.Error == BackendError.Fenced)
        {
            if (!process.IsDead)
                Fenced();
            throw;
        }
    });
}
