using Farspan.Backends;
using Farspan.Backends.Leases;

namespace Farspan.TestKit.Simulation;

/// <summary>
/// A store that several hosts reach, behind the gate that gives its lease. It restarts, and then loses what was not flushed, but not the lease.
/// It notes whatever was carried out that the gate should not have let in. One thread.
/// </summary>
internal sealed class SimulatedLeaseServer(byte[] contents, TimeProvider clock, Random random, TimeSpan leaseTimeout)
{
    private readonly byte[] _durable = contents;
    private byte[] _current = (byte[])contents.Clone();
    private bool _hasUnflushed;
    private bool _hasLost;

    public LeaseGate Gate { get; } = new(new EpochFile(null, clock), clock, leaseTimeout, TimeSpan.FromSeconds(20));

    public int Length => _current.Length;

    public TimeSpan LeaseTimeout => leaseTimeout;

    /// <summary>The newest lease that was given, and how often writers without one came in.</summary>
    public long NewestEpoch { get; private set; }

    /// <summary>What broke the rule of one writer.</summary>
    public List<string> Violations { get; } = [];

    /// <summary>Is told whom a lease was given.</summary>
    public Action<string, LeaseRecord> Granted { get; set; } = static (_, _) => { };

    /// <summary>What a flush has made durable.</summary>
    public ReadOnlySpan<byte> Durable => _durable;

    /// <summary>Loses what was not flushed.</summary>
    public void Restart()
    {
        _current = (byte[])_durable.Clone();
        _hasLost |= _hasUnflushed;
        _hasUnflushed = false;
    }

    public async Task<LeaseRecord> AcquireAsync(Guid session, Guid key, string holder)
    {
        var given = await Gate.AcquireAsync(session, key, holder);
        if (given.Epoch > NewestEpoch)
        {
            NewestEpoch = given.Epoch;
            Granted(holder, given);
        }

        return given;
    }

    public void Read(long offset, Span<byte> buffer) => _current.AsSpan((int)offset, buffer.Length).CopyTo(buffer);

    /// <summary>Changes bytes under an epoch, after a while.</summary>
    public async ValueTask ChangeAsync(Guid session, long epoch, Action<byte[]> change)
    {
        Gate.Enter(session, epoch);
        try
        {
            await WorkAsync();
            Judge(epoch);
            change(_current);
            _hasUnflushed = true;
        }
        finally
        {
            Gate.Exit();
        }
    }

    public async ValueTask FlushAsync(Guid session, long epoch)
    {
        Gate.Enter(session, epoch);
        try
        {
            await WorkAsync();
            Judge(epoch);
            if (_hasLost)
            {
                _hasLost = false;
                throw new BackendException(BackendError.Disconnected, "The store has restarted since: what was not flushed is lost.");
            }

            _hasUnflushed = false;
            _current.CopyTo(_durable, 0);
        }
        finally
        {
            Gate.Exit();
        }
    }

    /// <summary>Somebody without a lease writes through, where he may.</summary>
    public bool TryWriteWithoutLease(int offset, byte[] bytes)
    {
        if (Gate.TryEnter(Guid.Empty, 0) is not null)
            return false;
        bytes.CopyTo(_current, offset);
        bytes.CopyTo(_durable, offset);
        Gate.Exit();
        return true;
    }

    private async ValueTask WorkAsync()
    {
        if (random.Next(2) == 0)
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(1, 200)), clock);
    }

    private void Judge(long epoch)
    {
        if (epoch != NewestEpoch)
            Violations.Add($"Something of epoch {epoch} was carried out after {NewestEpoch} had been given.");
    }
}
