using Farspan.Backends;
using Farspan.Migration.Finalizing;

namespace Farspan.Migration;

/// <summary>The loop that moves the region, a step of the rules at a time.</summary>
internal sealed partial class Leecher
{
    private const int ListLimit = 4096;

    private bool IsClosing => _closing.IsCancellationRequested;

    private async Task LiveAsync()
    {
        await Task.Yield();
        await LearnAsync();
        while (!IsClosing)
        {
            LeecherState state;
            lock (_copy.Gate)
                state = _state;
            bool isDone = state is { Work: LeecherWork.None, Record.Role: RegionRole.Owner } && state.Record.Token == Guid.Empty;
            if (isDone || (_isGivingUp && state is { Work: LeecherWork.None, Record.Role: RegionRole.None or RegionRole.Released }))
            {
                _completed.TrySetResult(isDone);
                if (!isDone)
                    _accepted.TrySetCanceled();
                _decided.Set();
                return;
            }

            try
            {
                if (state.Work != LeecherWork.None)
                    await WorkAsync(state);
                else
                    await StepAsync(state);
            }
            catch (OperationCanceledException)
            {
                // What was asked is not wanted any more.
            }
            catch (Exception failure)
            {
                // Whatever a host, a disk or a policy throws: it is tried again.
                Volatile.Write(ref _trouble, failure.Message);
                await WaitAsync(_options.RetryDelay);
            }
        }
    }

    // What is here may be of use, wherever the region has it. Without that everything has only to be compared in its place, or to come.
    private async ValueTask LearnAsync()
    {
        if (Record.Role is RegionRole.Owner or RegionRole.Receiving)
            return;
        try
        {
            await _comparison.LearnAsync(_closing.Token);
        }
        catch (Exception failure) when (failure is BackendException or OperationCanceledException)
        {
            Volatile.Write(ref _trouble, failure.Message);
        }
    }

    private async ValueTask StepAsync(LeecherState state)
    {
        switch (state.Record.Role)
        {
            case RegionRole.None or RegionRole.Released:
                Apply(before => LeecherRules.Begin(before, _options.NewToken()), []);
                break;
            case RegionRole.Following when _isGivingUp:
                Apply(static before => new LeecherStep(LeecherRules.GiveUp(before)), []);
                break;
            case RegionRole.Following when state.Session == 0:
                await AskAsync(SeederCall.Track);
                break;
            case RegionRole.Following:
                await FollowAsync(state);
                break;
            case RegionRole.Receiving when !_copy.IsWhole:
                _pull.Wake();
                await WaitAsync(_options.RetryDelay);
                break;
            case RegionRole.Receiving:
                if (_options.Verify && !_isSeederLost && !await _verification.RunAsync(_closing.Token))
                    throw new BackendException(BackendError.Fenced, "The seeder does not tell any more what the region should be: all of it is here, but not verified.");
                _copy.Settle();
                Apply(static before => new LeecherStep(LeecherRules.Settle(before)), []);
                break;
            case RegionRole.Owner when _isSeederLost:
                Apply(static before => new LeecherStep(LeecherRules.ForgetSeeder(before)), []);
                break;
            case RegionRole.Owner:
                await AskAsync(SeederCall.Close);
                break;
            default:
                await AskAsync(SeederCall.GiveUp);
                break;
        }
    }

    private async ValueTask FollowAsync(LeecherState state)
    {
        var missing = Status.MissingBytes;
        bool isWanted;
        lock (_copy.Gate)
            isWanted = _isFinalizeWanted || _isHandOverAsked;
        var step = isWanted ? FinalizeStep.Finalize : _options.Policy.Next(_watch.Progress(state.Round, missing, _pull.Received, _pull.Window.Rate));
        if (step.Action == FinalizeAction.Finalize)
        {
            await AskAsync(SeederCall.Finalize);
            return;
        }

        SetWatching(step.Action == FinalizeAction.Watch);
        long until = _options.Clock.GetTimestamp() + (long)(step.Delay.TotalSeconds * _options.Clock.TimestampFrequency);
        bool wasWhole = missing == 0;
        while (!IsClosing && !_isGivingUp && !_isFinalizeWanted && Session == state.Session && (wasWhole || !_copy.IsWhole))
        {
            var left = _options.Clock.GetElapsedTime(_options.Clock.GetTimestamp(), until);
            if (left <= TimeSpan.Zero)
                break;
            await WaitAsync(left);
        }

        SetWatching(false);
        bool isOver = _options.Clock.GetTimestamp() >= until;
        if (isOver && step.Action is FinalizeAction.Round or FinalizeAction.Watch && Session == state.Session && !_isGivingUp)
            await AskAsync(SeederCall.Round);
        else if (isOver && step.Delay == TimeSpan.Zero)
            await WaitAsync(TimeSpan.FromMilliseconds(1));
    }

    private long Session
    {
        get
        {
            lock (_copy.Gate)
                return _state.Session;
        }
    }

    private void SetWatching(bool isWatching)
    {
        lock (_copy.Gate)
            _isWatching = isWatching;
        if (!isWatching)
            _pull.Wake();
    }

    /// <summary>Asks, with the list that goes with the answer, and does what follows from it.</summary>
    private async ValueTask AskAsync(SeederCall call)
    {
        SeederRequest request;
        CancellationToken given;
        lock (_copy.Gate)
        {
            if (LeecherRules.Ask(_state, call) is not { } may)
                return;
            request = may;
            if (_asking.IsCancellationRequested && !IsClosing)
                _asking = new CancellationTokenSource();
            given = _asking.Token;
        }

        // Once it was asked for nobody's program may be running: what became of it has to be known.
        long began = _options.Clock.GetTimestamp();
        if (call == SeederCall.Finalize)
        {
            lock (_copy.Gate)
            {
                _handOverFrom = _isHandOverAsked ? _handOverFrom : began;
                _isHandOverAsked = true;
            }
        }

        SeederReply reply;
        try
        {
            reply = await Patience.RunAsync(token => _seeder.AskAsync(request, token), _options.DecisionTimeout, _options.Clock, given);
        }
        catch (BackendException) when (given.IsCancellationRequested)
        {
            throw new OperationCanceledException(given);
        }

        if (call is SeederCall.Track or SeederCall.Round)
            _watch.Answered(_options.Clock.GetElapsedTime(began));
        var changed = new List<ChangedRun>();
        bool hasList = reply.Answer == SeederAnswer.Round || reply is { Answer: SeederAnswer.Yours, IsExact: true };
        for (long next = hasList ? 0 : -1; next >= 0;)
        {
            var page = await Patience.RunAsync(
                token => _seeder.ListAsync(request, next, ListLimit, token), _options.RequestTimeout, _options.Clock, _closing.Token);
            if (page is null)
                return;
            changed.AddRange(page.Runs);
            next = page.NextChunk;
        }

        lock (_copy.Gate)
            _isHandOverAsked = call == SeederCall.Finalize && reply.Answer == SeederAnswer.Yours;
        Volatile.Write(ref _trouble, TroubleOf(call, reply));
        Receive(request, reply, changed);
        if (_trouble is not null)
            await WaitAsync(_options.RetryDelay);
    }

    private static string? TroubleOf(SeederCall call, SeederReply reply) => reply.Answer switch
    {
        SeederAnswer.Refused when call == SeederCall.Track => "The seeder does not own the region, or has not been told yet that it has all of it.",
        SeederAnswer.Busy when call == SeederCall.Track => "The seeder serves another host.",
        SeederAnswer.Busy => "The seeder could not suspend its program, or could not keep that it hands the region over; its program goes on.",
        SeederAnswer.Refused when call == SeederCall.Close => "The seeder does not let go.",
        _ => null,
    };

    private void Receive(SeederRequest request, SeederReply reply, IReadOnlyList<ChangedRun> changed)
        => Apply(state => LeecherRules.Receive(state, request, reply), changed);

    private void Apply(Func<LeecherState, LeecherStep> decide, IReadOnlyList<ChangedRun> changed)
    {
        lock (_copy.Gate)
        {
            var before = _state;
            var step = decide(before);
            _state = step.State;
            if (step.Copy == CopyChange.AllUnproven)
            {
                _copy.ForgetAll();
                _comparison.DoubtAll();
            }
            else if (step.Copy == CopyChange.ListedUnproven)
            {
                _copy.Forget(changed);
            }

            if (_state.Generation != before.Generation)
                _pull.Restart();
            if (_state.Session != before.Session && _state.Session != 0)
                _watch.Begin(_pull.Received);
            else if (_state.Round != before.Round && _state.Session != 0)
                _watch.TookRound(changed.Sum(run => _copy.BytesOf(run.FirstChunk, run.Count)));
        }

        _pull.Wake();
    }

    /// <summary>Waits for something to change, or for a time.</summary>
    private Task WaitAsync(TimeSpan time)
    {
        _alarm.Change(time > TimeSpan.Zero ? time : TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
        return IsClosing ? Task.CompletedTask : _wake.WaitAsync();
    }
}
