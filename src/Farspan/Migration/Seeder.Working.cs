using Farspan.Backends;
using Farspan.Stages;
using Farspan.Waiting;

namespace Farspan.Migration;

/// <summary>What the rules tell a seeder to do.</summary>
internal sealed partial class Seeder
{
    private Guid? MayRead(SeederRequest request)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closing.IsCancellationRequested, this);
            Hear(request);
            var reply = SeederRules.Answer(_state, request with { Call = SeederCall.Read }).Reply;
            return reply.Answer == SeederAnswer.Bytes ? reply.Region : null;
        }
    }

    // Whoever has been silent for too long is in nobody's way.
    private void Hear(SeederRequest request)
    {
        if (request.Token == _state.Token)
            _heard = _options.Clock.GetTimestamp();
        else if (_state.Token != Guid.Empty && _options.Clock.GetElapsedTime(_heard) > _options.LeecherTimeout)
            Apply(new SeederStep(SeederRules.Expire(_state), default));
    }

    /// <summary>Takes the next state, and says whether work begins with it.</summary>
    private bool Apply(SeederStep step)
    {
        var before = _state;
        _state = step.State;
        if (_state.Session != before.Session)
        {
            _session?.Dispose();
            _session = _state.Session == 0 ? null : _tracking.BeginTracking();
            _round = _last = null;
            _heard = _options.Clock.GetTimestamp();
        }

        if (step.TakesRound)
            _round = _session!.SnapshotAndClear();

        // The gate is closed: nothing more is recorded, and what was is all.
        if (_state.Record.Role == RegionRole.HandedOver && before.Record.Role == RegionRole.Owner)
            _last = _session?.SnapshotAndClear();
        if (_state.Work == SeederWork.None || before.Work != SeederWork.None)
            return false;
        _workEnded = new Signal();
        return true;
    }

    private void Begin()
    {
        Volatile.Write(ref _trouble, null);
        var work = WorkAsync();
        lock (_gate)
            _work = work;
    }

    private async Task WorkAsync()
    {
        while (true)
        {
            SeederState doing;
            lock (_gate)
                doing = _state;
            bool succeeded = await TryAsync(doing);
            bool isAgain;
            lock (_gate)
            {
                Apply(new SeederStep(SeederRules.Complete(_state, succeeded), default));
                if (_state.Work == SeederWork.None)
                {
                    _workEnded.Set();
                    return;
                }

                isAgain = _state.Work == doing.Work;
            }

            if (isAgain && !await DelayAsync())
            {
                _workEnded.Fail(new BackendException(BackendError.ShuttingDown, $"The seeder was closed while it could not end what it did: {Trouble}"));
                return;
            }
        }
    }

    private async ValueTask<bool> DelayAsync()
    {
        try
        {
            await Task.Delay(_options.RetryDelay, _options.Clock, _closing.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async ValueTask<bool> TryAsync(SeederState doing)
    {
        try
        {
            if (doing.Work is SeederWork.Committing or SeederWork.TakingBack or SeederWork.Releasing)
                await _kept.WriteAsync(doing.Next);
            else
                await StepAsync(doing.Work);
            return true;
        }
        catch (Exception failure)
        {
            // Whatever a hook or a disk throws: the program goes on here, or what must succeed is tried again.
            Volatile.Write(ref _trouble, $"{doing.Work} failed: {failure.Message}");
            return false;
        }
    }

    // A host that was started after it had handed the region over has left what stands behind it alone until now.
    private async ValueTask BeginMirrorAsync(bool isSame, CancellationToken cancellationToken)
    {
        if (_mirror is not { HasBegun: false })
            return;
        var behind = _options.Behind!;
        _mirror.Begin(await behind.OwnAsync(Record.Region, cancellationToken), isSame, token => behind.RegainAsync(Record.Region, token));
    }

    private async ValueTask StepAsync(SeederWork work)
    {
        if (work == SeederWork.Suspending)
            await WriteBackAheadAsync();
        using var patience = new CancellationTokenSource(_options.StepTimeout, _options.Clock);
        switch (work)
        {
            case SeederWork.Suspending:
                if (_mirror is { IsInLine: false })
                    throw new BackendException(BackendError.InputOutput, $"The store behind the region is not in line with it yet. {_mirror.Trouble}".TrimEnd());
                await _host.SuspendAsync(patience.Token);
                _lock = await _door.LockAsync(GateScope.Everything, patience.Token);
                break;
            case SeederWork.Flushing:
                await _tracking.FlushAsync(patience.Token);
                break;
            default:
                await BeginMirrorAsync(isSame: false, patience.Token);
                _lock?.Dispose();
                _lock = null;
                await _host.ResumeAsync(patience.Token);
                break;
        }
    }
}
