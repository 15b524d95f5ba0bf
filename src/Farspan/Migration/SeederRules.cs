namespace Farspan.Migration;

/// <summary>What the host that has a region does in a migration. Without IO; docs/migration.md has the reasons and the picture.</summary>
internal static class SeederRules
{
    /// <summary>A host that has just been started.</summary>
    /// <param name="record">What it keeps.</param>
    /// <param name="lastSession">A number above which no run before has used one.</param>
    public static SeederState Start(RegionRecord record, long lastSession) => new(record, LastSession: lastSession);

    /// <summary>Answers a leecher.</summary>
    public static SeederStep Answer(SeederState state, SeederRequest request) => request.Call switch
    {
        SeederCall.Track => Track(state, request),
        SeederCall.Round => TakeRound(state, request),
        SeederCall.Read => Read(state, request),
        SeederCall.Finalize => HandOver(state, request),
        SeederCall.Close => Close(state, request),
        SeederCall.GiveUp => GiveUp(state, request),
        _ => Refuse(state),
    };

    /// <summary>The work that went on has ended.</summary>
    public static SeederState Complete(SeederState state, bool succeeded) => state.Work switch
    {
        SeederWork.Suspending => succeeded && !state.IsGivenUp ? state with { Work = SeederWork.Flushing } : Resume(state),
        SeederWork.Flushing => succeeded && !state.IsGivenUp ? Commit(state) : Resume(state),
        SeederWork.Committing => Committed(state, succeeded),
        SeederWork.TakingBack => succeeded ? Resume(state with { Record = state.Next }) : state,
        SeederWork.Resuming when succeeded => Rest(state),
        SeederWork.Releasing when succeeded => Release(state),
        SeederWork.Releasing => state with { Next = default, Work = SeederWork.None },
        _ => state,
    };

    /// <summary>The leecher has been silent for too long. Before the hand-over that ends its session; after it, it changes nothing.</summary>
    public static SeederState Expire(SeederState state)
        => state.Record.MayWrite && state.Work == SeederWork.None ? state with { Token = default, Session = 0, Round = 0 } : state;

    /// <summary>
    /// The operator takes back what was handed over and lost. What is here is as old as the hand-over, and the new owner may be alive: so it becomes
    /// a region of its own, which nobody else can claim. Does nothing where nothing was handed over, or something goes on, or the new owner has
    /// everything: then it is all on his disk, and may be deleted here.
    /// </summary>
    public static SeederState TakeBackByForce(SeederState state, Guid newRegion)
        => state is { Work: SeederWork.None, Record.Role: RegionRole.HandedOver }
            ? TakeBack(state with { IsGivenUp = true }, newRegion)
            : state;

    // Every call begins a session anew, also one of the same token: who asks again has lost what he knew.
    private static SeederStep Track(SeederState state, SeederRequest request)
    {
        if (state.Record.Role == RegionRole.HandedOver && state.Record.Token == request.Token)
            return state.Work == SeederWork.None ? new(state, Yours(state, isExact: false)) : Wait(state);
        if (state.Work != SeederWork.None)
            return Wait(state);
        if (state.Record.Role != RegionRole.Owner || state.Record.Token != Guid.Empty)
            return Refuse(state);
        if (state.Token != Guid.Empty && state.Token != request.Token)
            return new(state, new SeederReply(SeederAnswer.Busy, state.Record.Region, state.Record.Epoch));
        long session = state.LastSession + 1;
        return new(
            state with { Token = request.Token, Session = session, LastSession = session, Round = 0 },
            new SeederReply(SeederAnswer.Tracking, state.Record.Region, state.Record.Epoch, session));
    }

    private static SeederStep TakeRound(SeederState state, SeederRequest request)
    {
        if (!IsOfSession(state, request) || state.Record.Role != RegionRole.Owner)
            return Refuse(state);
        if (state.Work != SeederWork.None)
            return Wait(state);
        bool isNext = request.Round == state.Round + 1;
        if (!isNext && request.Round != state.Round)
            return Refuse(state);
        return new(
            state with { Round = request.Round }, new SeederReply(SeederAnswer.Round, state.Record.Region, state.Record.Epoch, state.Session, request.Round), isNext);
    }

    private static SeederStep Read(SeederState state, SeederRequest request)
        => IsHandedOverTo(state, request) || (IsOfSession(state, request) && state.Record.Role == RegionRole.Owner)
            ? new(state, new SeederReply(SeederAnswer.Bytes, state.Record.Region, state.Record.Epoch))
            : Refuse(state);

    private static SeederStep HandOver(SeederState state, SeederRequest request)
    {
        bool isOfSession = IsOfSession(state, request) && (request.Round == state.Round || request.Round == state.Round - 1);
        if (IsHandedOverTo(state, request))
            return state.Work == SeederWork.None ? new(state, Yours(state, isOfSession)) : Wait(state);
        if (!isOfSession || state.Record.Role != RegionRole.Owner)
            return Refuse(state);
        return Wait(state.Work == SeederWork.None ? state with { Work = SeederWork.Suspending, IsGivenUp = false } : state);
    }

    private static SeederStep Close(SeederState state, SeederRequest request)
    {
        if (state.Token == request.Token && state.Record.Role == RegionRole.Owner)
            return Refuse(state);
        if (!IsHandedOverTo(state, request))
            return new(state, new SeederReply(SeederAnswer.Released, state.Record.Region, state.Record.Epoch));
        return Wait(state.Work == SeederWork.None ? state with { Work = SeederWork.Releasing, Next = state.Record with { Role = RegionRole.Released } } : state);
    }

    private static SeederStep GiveUp(SeederState state, SeederRequest request)
    {
        if (state.Work != SeederWork.None)
            return Wait(state.Token == request.Token ? state with { IsGivenUp = true } : state);
        if (IsHandedOverTo(state, request))
            return Wait(TakeBack(state with { IsGivenUp = true }, state.Record.Region));
        var after = state.Token == request.Token && state.Record.Role == RegionRole.Owner ? Expire(state) : state;
        return new(after, new SeederReply(SeederAnswer.GivenUp, state.Record.Region, state.Record.Epoch));
    }

    private static SeederState Commit(SeederState state) => state with
    {
        Work = SeederWork.Committing,
        Next = new RegionRecord(RegionRole.HandedOver, state.Record.Region, state.Record.Epoch + 1, state.Token),
    };

    // A record that failed to be kept may be durable all the same: only a newer one that is kept for certain lets the application go on.
    private static SeederState Committed(SeederState state, bool succeeded)
    {
        if (!succeeded)
            return TakeBack(state, state.Record.Region);
        var after = state with { Record = state.Next, Next = default, Work = SeederWork.None };
        return state.IsGivenUp ? TakeBack(after, after.Record.Region) : after;
    }

    private static SeederState TakeBack(SeederState state, Guid region) => state with
    {
        Work = SeederWork.TakingBack,
        Next = new RegionRecord(RegionRole.Owner, region, Math.Max(state.Record.Epoch, state.Next.Epoch) + 1, Guid.Empty),
    };

    private static SeederState Resume(SeederState state) => state with { Work = SeederWork.Resuming, Next = default };

    // The session ends as well: a late Finalize of it would else hand over what this host has got back since.
    private static SeederState Release(SeederState state)
        => state with { Record = state.Next, Next = default, Work = SeederWork.None, Token = default, Session = 0, Round = 0 };

    private static SeederState Rest(SeederState state)
    {
        var after = state with { Work = SeederWork.None };
        return state.IsGivenUp ? Expire(after) with { IsGivenUp = false } : after;
    }

    private static bool IsOfSession(SeederState state, SeederRequest request)
        => state.Session != 0 && state.Token == request.Token && state.Session == request.Session;

    private static bool IsHandedOverTo(SeederState state, SeederRequest request)
        => state.Record.Role == RegionRole.HandedOver && state.Record.Token == request.Token;

    private static SeederReply Yours(SeederState state, bool isExact)
        => new(SeederAnswer.Yours, state.Record.Region, state.Record.Epoch, Round: state.Round, IsExact: isExact);

    private static SeederStep Wait(SeederState state) => new(state, new SeederReply(SeederAnswer.Wait));

    private static SeederStep Refuse(SeederState state)
        => new(state, new SeederReply(SeederAnswer.Refused, state.Record.Region, state.Record.Epoch));
}
