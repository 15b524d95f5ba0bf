namespace Farspan.Migration;

/// <summary>What the host that a region goes to does in a migration. Without IO; docs/migration.md has the reasons and the picture.</summary>
internal static class LeecherRules
{
    /// <summary>A host that has just been started. All that it has of a seeder's bytes is unproven, but what it keeps as its own.</summary>
    /// <param name="record">What it keeps.</param>
    /// <param name="generation">A number above all that requests of earlier runs can carry.</param>
    public static LeecherState Start(RegionRecord record, long generation) => new(record, Generation: generation);

    /// <summary>
    /// Begins a move, on a host that has nothing of it, or has let go. Else nothing changes. What it still has of the region from before is unproven.
    /// </summary>
    /// <param name="state">The state.</param>
    /// <param name="token">A random name of the move, which nobody used before.</param>
    public static LeecherStep Begin(LeecherState state, Guid token)
        => state is { Work: LeecherWork.None, Record.Role: RegionRole.None or RegionRole.Released }
            ? new(Keep(state, LeecherWork.Beginning, state.Record with { Role = RegionRole.Following, Token = token }), CopyChange.AllUnproven)
            : new(state);

    /// <summary>The request of a kind that may be made now; none where it may not.</summary>
    public static SeederRequest? Ask(LeecherState state, SeederCall call)
    {
        // What is missing of a region that was accepted is asked for while that is being kept: it is the region's, whatever becomes of the record.
        bool isFree = state.Work is LeecherWork.None or LeecherWork.Flushing or LeecherWork.Settling or LeecherWork.Resuming
            || (state.Work == LeecherWork.Accepting && call == SeederCall.Read);
        if (!isFree)
            return null;
        bool may = call switch
        {
            SeederCall.Track => state.Record.Role == RegionRole.Following,
            SeederCall.Round or SeederCall.Finalize => state.Record.Role == RegionRole.Following && state.Session != 0,
            SeederCall.Read => (state.Record.Role == RegionRole.Following && state.Session != 0) || state.Record.Role == RegionRole.Receiving,
            SeederCall.Close => state.Record.Role == RegionRole.Owner && state.Record.Token != Guid.Empty,
            SeederCall.GiveUp => state.Record.Role == RegionRole.GaveUp,
            _ => false,
        };
        if (!may)
            return null;
        int round = call == SeederCall.Round ? state.Round + 1 : state.Round;
        return new SeederRequest(call, state.Record.Token, state.Session, round, state.Generation);
    }

    /// <summary>A reply has come. What answers an older generation, another move, or something that is settled changes nothing.</summary>
    public static LeecherStep Receive(LeecherState state, SeederRequest request, SeederReply reply)
    {
        if (request.Generation != state.Generation || request.Token != state.Record.Token || state.Work != LeecherWork.None)
            return new(state);
        return (state.Record.Role, reply.Answer) switch
        {
            (RegionRole.Following, SeederAnswer.Yours) => Accept(state, reply),
            (RegionRole.Following, SeederAnswer.Tracking) => new(
                Renew(state) with { Session = reply.Session, Round = 0 }, CopyChange.AllUnproven),
            (RegionRole.Following, SeederAnswer.Refused) => new(Renew(state) with { Session = 0, Round = 0 }, CopyChange.AllUnproven),
            (RegionRole.Following, SeederAnswer.Round) when reply.Round == state.Round + 1 => new(
                Renew(state) with { Round = reply.Round }, CopyChange.ListedUnproven),
            (RegionRole.Owner, SeederAnswer.Released) => new(Keep(state, LeecherWork.Closing, state.Record with { Token = Guid.Empty })),
            (RegionRole.GaveUp, SeederAnswer.GivenUp) => new(Keep(state, LeecherWork.Forgetting, default)),
            _ => new(state),
        };
    }

    /// <summary>Whether bytes that came in reply to a request may go into the copy.</summary>
    public static bool MayStore(LeecherState state, SeederRequest request)
        => request.Generation == state.Generation && request.Token == state.Record.Token
            && state.Record.Role is RegionRole.Following or RegionRole.Receiving;

    /// <summary>The work that went on has ended.</summary>
    public static LeecherState Complete(LeecherState state, bool succeeded)
    {
        if (!succeeded)
        {
            // What is not kept for certain is kept again: a host that may have accepted, or may have given up, is not to decide anew.
            return state.Work is LeecherWork.Beginning or LeecherWork.Flushing or LeecherWork.Settling or LeecherWork.Closing
                ? state with { Next = default, Work = LeecherWork.None }
                : state;
        }

        return state.Work switch
        {
            LeecherWork.Accepting => state with { Record = state.Next, Next = default, Work = LeecherWork.Resuming },
            LeecherWork.Flushing => Keep(state, LeecherWork.Settling, state.Record with { Role = RegionRole.Owner }),
            LeecherWork.Resuming => state with { Work = LeecherWork.None },
            LeecherWork.None => state,
            _ => state with { Record = state.Next, Next = default, Work = LeecherWork.None },
        };
    }

    /// <summary>Everything has come: to be durable, and said so. Else nothing changes.</summary>
    public static LeecherState Settle(LeecherState state)
        => state is { Work: LeecherWork.None, Record.Role: RegionRole.Receiving } ? state with { Work = LeecherWork.Flushing } : state;

    /// <summary>The operator says that the seeder is lost for good. All is here, so it need not be told; before that nothing changes.</summary>
    public static LeecherState ForgetSeeder(LeecherState state)
        => state is { Work: LeecherWork.None, Record.Role: RegionRole.Owner } && state.Record.Token != Guid.Empty
            ? Keep(state, LeecherWork.Closing, state.Record with { Token = Guid.Empty })
            : state;

    /// <summary>The move is not wanted any more. Once the region is this host's, that comes too late, and nothing changes.</summary>
    public static LeecherState GiveUp(LeecherState state)
        => state is { Work: LeecherWork.None, Record.Role: RegionRole.Following }
            ? Keep(Renew(state) with { Session = 0, Round = 0 }, LeecherWork.GivingUp, state.Record with { Role = RegionRole.GaveUp })
            : state;

    private static LeecherStep Accept(LeecherState state, SeederReply reply) => new(
        Keep(Renew(state), LeecherWork.Accepting, new RegionRecord(RegionRole.Receiving, reply.Region, reply.Epoch, state.Record.Token)),
        reply.IsExact ? CopyChange.ListedUnproven : CopyChange.AllUnproven);

    private static LeecherState Keep(LeecherState state, LeecherWork work, RegionRecord next) => state with { Work = work, Next = next };

    private static LeecherState Renew(LeecherState state) => state with { Generation = state.Generation + 1 };
}
