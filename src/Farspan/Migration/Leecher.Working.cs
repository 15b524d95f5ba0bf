namespace Farspan.Migration;

/// <summary>What the rules tell a leecher to do, and what they tell its pulls.</summary>
internal sealed partial class Leecher
{
    private async ValueTask WorkAsync(LeecherState doing)
    {
        bool succeeded = false;
        try
        {
            await CarryOutAsync(doing);
            succeeded = true;
            Volatile.Write(ref _trouble, null);
        }
        finally
        {
            lock (_copy.Gate)
                _state = LeecherRules.Complete(_state, succeeded);
        }

        if (doing.Work == LeecherWork.Resuming)
        {
            if (_handOverFrom is { } from)
                _handOverTime = _options.Clock.GetElapsedTime(from);
            Accept(isNew: true);
        }

        _pull.Wake();
    }

    private async ValueTask CarryOutAsync(LeecherState doing)
    {
        switch (doing.Work)
        {
            case LeecherWork.Resuming:
                _lock?.Dispose();
                _lock = null;
                _pull.Wake();
                using (var patience = new CancellationTokenSource(_options.StepTimeout, _options.Clock))
                    await _host.ResumeAsync(patience.Token);
                break;
            case LeecherWork.Flushing:
                await FlushAsync(_closing.Token);
                break;
            default:
                var hold = await _filesTurn.AcquireAsync(0, 0, exclusive: true, CancellationToken.None);
                try
                {
                    if (doing.Work == LeecherWork.Beginning)
                        await _log.BeginAsync(doing.Next.Token);
                    await _kept.WriteAsync(doing.Next);
                    if (doing.Work is LeecherWork.Closing or LeecherWork.Forgetting)
                        await _log.DeleteAsync();
                }
                finally
                {
                    _filesTurn.Release(hold);
                }

                break;
        }
    }

    private sealed class Rules(Leecher leecher) : CopyRules
    {
        public override bool IsUsed => leecher._state.Record.Role == RegionRole.Receiving;

        public override bool IsHandedOver => IsUsed || leecher._state.Work == LeecherWork.Accepting;

        public override SeederRequest? AskRead()
            => leecher._isWatching && leecher._state.Record.Role == RegionRole.Following ? null : LeecherRules.Ask(leecher._state, SeederCall.Read);

        public override bool MayStore(SeederRequest request) => LeecherRules.MayStore(leecher._state, request);

        public override void Refused(SeederRequest request)
        {
            leecher.Receive(request, new SeederReply(SeederAnswer.Refused), []);
            leecher._wake.Set();
        }

        public override void BecameWhole() => leecher._wake.Set();
    }
}
