using Farspan.Waiting;

namespace Farspan.Backends.Leases;

/// <summary>
/// The one door to an export's bytes for everything that changes them. Who enters is counted until he leaves, and a lease is given only once
/// all who entered before have left: no change under an old epoch starts, or is still running, after a newer one was given. Thread-safe.
/// </summary>
internal sealed class LeaseGate
{
    private readonly Lock _gate = new();
    private readonly EpochFile _file;
    private readonly TimeProvider _clock;
    private readonly TimeSpan _drainTimeout;
    private volatile LeaseRecord? _held;
    private long _seen;
    private long _running;
    private Task<LeaseRecord>? _granting;
    private Guid _grantingSession;
    private Guid _grantingKey;
    private string _grantingHolder = "";
    private Signal? _drained;

    /// <summary>A lease that was held when the server ended is still held, for the time that a silent holder has.</summary>
    public LeaseGate(EpochFile file, TimeProvider clock, TimeSpan leaseTimeout, TimeSpan drainTimeout)
    {
        _file = file;
        _clock = clock;
        _drainTimeout = drainTimeout;
        LeaseTimeout = leaseTimeout;
        _seen = clock.GetTimestamp();
        _held = file.Last is { } last && last.Session != Guid.Empty ? last : null;
    }

    /// <summary>
    /// The gate of a store that is locked for one process: whoever held the lease before cannot be alive, and no holder can fall silent.
    /// </summary>
    public static LeaseGate ForOneProcess(EpochFile file, TimeProvider clock, TimeSpan drainTimeout)
        => new(file, clock, TimeSpan.MaxValue, drainTimeout) { _held = null };

    public TimeSpan LeaseTimeout { get; }

    /// <summary>Changes that are running; for tests.</summary>
    public long Running
    {
        get
        {
            lock (_gate)
                return _running;
        }
    }

    /// <summary>The session gave a sign of life.</summary>
    public void Touch(Guid session)
    {
        if (_held is { } held && held.Session == session)
            Volatile.Write(ref _seen, _clock.GetTimestamp());
    }

    /// <summary>Lets a change in, or throws. <see cref="Exit"/> must follow once it is over.</summary>
    /// <param name="session">Who changes; empty for one without a session.</param>
    /// <param name="epoch">The lease that it is made under; 0 for none.</param>
    /// <exception cref="BackendException">Another holds the lease, or the epoch is not the newest.</exception>
    public void Enter(Guid session, long epoch)
    {
        if (TryEnter(session, epoch) is { } refusal)
            throw refusal;
    }

    /// <summary>Lets a change in (null) or says why not.</summary>
    public BackendException? TryEnter(Guid session, long epoch)
    {
        lock (_gate)
        {
            if (epoch != 0)
            {
                if (_granting is not null || _held is not { } held || held.Epoch != epoch || held.Session != session)
                    return Fenced(epoch);
            }
            else if (_granting is not null)
            {
                return Leased(_grantingHolder);
            }
            else if (_held is { } other)
            {
                if (!IsLapsed)
                    return Leased(other.Holder);
                if (TryEndRun(other) is { } failure)
                    return failure;
            }
            else if (_file.Last is { } last && last.Key != Guid.Empty && TryEndRun(last) is { } failure)
            {
                // Whoever held it last is told when he comes back.
                return failure;
            }

            _running++;
            return null;
        }
    }

    /// <summary>A change that was let in is over.</summary>
    public void Exit()
    {
        lock (_gate)
        {
            if (--_running == 0)
                _drained?.Set();
        }
    }

    /// <summary>
    /// Gives the lease, once all changes that were let in are over. Whoever has the present holder's key is that holder, come back, and takes over
    /// from his older session at once.
    /// </summary>
    /// <exception cref="BackendException">Another holds the lease, changes do not end, or it cannot be kept.</exception>
    public Task<LeaseRecord> AcquireAsync(Guid session, Guid key, string holder)
    {
        lock (_gate)
        {
            if (_granting is { } before)
            {
                if (key != _grantingKey)
                    return Task.FromException<LeaseRecord>(Leased(_grantingHolder));
                return session == _grantingSession ? before : AcquireAfterAsync(before, session, key, holder);
            }

            if (_held is { } held)
            {
                if (held.Key == key && held.Session == session)
                {
                    Volatile.Write(ref _seen, _clock.GetTimestamp());
                    return Task.FromResult(held);
                }

                if (held.Key != key && !IsLapsed)
                    return Task.FromException<LeaseRecord>(Leased(held.Holder));
            }

            _held = null;
            _grantingSession = session;
            _grantingKey = key;
            _grantingHolder = holder;
            _drained = _running == 0 ? null : new Signal();
            var granting = GrantAsync(_drained, session, key, holder);
            if (!granting.IsCompleted)
                _granting = granting;
            return granting;
        }
    }

    /// <summary>Whether the lease is still that of the session and epoch, for a while longer.</summary>
    public bool TryRenew(Guid session, long epoch)
    {
        lock (_gate)
        {
            if (_held is not { } held || held.Epoch != epoch || held.Session != session)
                return false;
            Volatile.Write(ref _seen, _clock.GetTimestamp());
            return true;
        }
    }

    /// <summary>Gives the lease back. Of a lease that is no longer held, nothing is changed.</summary>
    /// <exception cref="BackendException">That cannot be kept; the lease is still held.</exception>
    public void Release(Guid session, long epoch)
    {
        lock (_gate)
        {
            if (_held is { } held && held.Epoch == epoch && held.Session == session && TryEnd(held) is { } failure)
                throw failure;
        }
    }

    /// <summary>The client has taken its leave: what it still holds is given back.</summary>
    public void EndSession(Guid session)
    {
        lock (_gate)
        {
            if (_held is { } held && held.Session == session)
                _ = TryEnd(held);
        }
    }

    private bool IsLapsed => _clock.GetElapsedTime(Volatile.Read(ref _seen)) > LeaseTimeout;

    private static BackendException Leased(string holder)
        => new(BackendError.Leased, $"Another writer holds the lease: {(holder.Length == 0 ? "it gave no name" : holder)}.");

    private static BackendException Fenced(long epoch)
        => new(BackendError.Fenced, $"The lease with epoch {epoch} is over; what was to be written under it is refused.");

    private BackendException? TryEnd(LeaseRecord held) => TryKeep(held with { Session = Guid.Empty });

    /// <summary>Somebody without a lease is about to write.</summary>
    private BackendException? TryEndRun(LeaseRecord last) => TryKeep(last with { Session = Guid.Empty, Key = Guid.Empty });

    private BackendException? TryKeep(LeaseRecord ended)
    {
        try
        {
            _file.Save(ended);
            _held = null;
            return null;
        }
        catch (BackendException failure)
        {
            return failure;
        }
    }

    private async Task<LeaseRecord> AcquireAfterAsync(Task before, Guid session, Guid key, string holder)
    {
        try
        {
            await before;
        }
        catch (BackendException)
        {
            // That session's affair.
        }

        return await AcquireAsync(session, key, holder);
    }

    private async Task<LeaseRecord> GrantAsync(Signal? drained, Guid session, Guid key, string holder)
    {
        try
        {
            if (drained is not null)
            {
                using var limit = new CancellationTokenSource(_drainTimeout, _clock);
                await drained.WaitAsync(limit.Token);
            }

            lock (_gate)
            {
                long epoch = _file.NextEpoch();
                long since = _file.Last is { } last && last.Key == key ? last.Since : epoch;
                var record = new LeaseRecord(epoch, since, session, key, holder);
                _file.Save(record);
                Volatile.Write(ref _seen, _clock.GetTimestamp());
                _held = record;
                return record;
            }
        }
        catch (OperationCanceledException error)
        {
            throw new BackendException(BackendError.TimedOut, "Writes from before the lease do not end; it is not given.", error);
        }
        finally
        {
            lock (_gate)
            {
                _granting = null;
                _drained = null;
            }
        }
    }
}
