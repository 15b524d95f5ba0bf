using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>Rules that are broken, one at a time. A model that lets one of them pass has a hole.</summary>
internal static class ModelMutants
{
    public static IReadOnlyList<(string Name, RuleSet Rules)> All { get; } =
    [
        ("a seeder hands over for any session", new RuleSet
        {
            Answer = (state, request) => SeederRules.Answer(state, request.Call == SeederCall.Finalize ? request with { Session = state.Session } : request),
        }),
        ("a second Track continues the first one's session", new RuleSet
        {
            Answer = (state, request) => SeederRules.Answer(
                request.Call == SeederCall.Track && state.Session != 0 ? state with { LastSession = state.LastSession - 1 } : state, request),
        }),
        ("a seeder says that it handed over before the record is kept", new RuleSet
        {
            Answer = (state, request) => request.Call == SeederCall.Finalize && state.Work == SeederWork.Committing
                ? new SeederStep(state, new SeederReply(SeederAnswer.Yours, state.Next.Region, state.Next.Epoch, IsExact: true))
                : SeederRules.Answer(state, request),
        }),
        ("a seeder hands over without a flush", new RuleSet
        {
            CompleteSeeder = (state, succeeded) => state.Work == SeederWork.Suspending && succeeded
                ? SeederRules.Complete(SeederRules.Complete(state, succeeded), succeeded)
                : SeederRules.Complete(state, succeeded),
        }),
        ("a seeder hands over though it could not suspend", new RuleSet
        {
            CompleteSeeder = (state, succeeded) => SeederRules.Complete(state, succeeded || state.Work == SeederWork.Suspending),
        }),
        ("a seeder goes on after a record that failed", new RuleSet
        {
            CompleteSeeder = (state, succeeded) => state.Work == SeederWork.Committing && !succeeded
                ? state with { Work = SeederWork.Resuming, Next = default }
                : SeederRules.Complete(state, succeeded),
        }),
        ("a seeder goes on though it could not keep that it took back", new RuleSet
        {
            CompleteSeeder = (state, succeeded) => state.Work == SeederWork.TakingBack && !succeeded
                ? state with { Work = SeederWork.Resuming, Record = state.Next, Next = default }
                : SeederRules.Complete(state, succeeded),
        }),
        ("a seeder takes back without a record", new RuleSet
        {
            Answer = (state, request) =>
            {
                var step = SeederRules.Answer(state, request);
                return step.State.Work == SeederWork.TakingBack && state.Work == SeederWork.None
                    ? step with { State = step.State with { Work = SeederWork.Resuming, Record = step.State.Next, Next = default } }
                    : step;
            },
        }),
        ("a seeder takes back for anybody", new RuleSet
        {
            Answer = (state, request) => SeederRules.Answer(state, request.Call == SeederCall.GiveUp ? request with { Token = state.Record.Token } : request),
        }),
        ("a seeder forgets at a start that it handed over", new RuleSet
        {
            StartSeeder = (record, session) => SeederRules.Start(
                record.Role == RegionRole.HandedOver ? record with { Role = RegionRole.Owner, Token = Guid.Empty } : record, session),
        }),
        ("a seeder does not serve what it handed over", new RuleSet
        {
            Answer = (state, request) => request.Call == SeederCall.Read && state.Record.Role == RegionRole.HandedOver
                ? new SeederStep(state, new SeederReply(SeederAnswer.Refused))
                : SeederRules.Answer(state, request),
        }),
        ("a round is taken again when it is asked for again", new RuleSet
        {
            Answer = (state, request) =>
            {
                var step = SeederRules.Answer(state, request);
                return step.Reply.Answer == SeederAnswer.Round ? step with { TakesRound = true } : step;
            },
        }),
        ("the list of a lost round is left out of the last one", new RuleSet { RepeatsLostRound = false }),
        ("a seeder lists after a restart what it does not know any more", new RuleSet
        {
            Receive = (state, request, reply) => LeecherRules.Receive(state, request, reply with { IsExact = true }),
        }),
        ("a silent leecher's session ends while the region is handed over to it", new RuleSet
        {
            CompleteSeeder = (state, succeeded) => SeederRules.Complete(
                state.Work == SeederWork.Flushing ? state with { Token = ModelWorld.Name(3) } : state, succeeded),
        }),
        ("a seeder that let go keeps its session", new RuleSet
        {
            CompleteSeeder = (state, succeeded) =>
            {
                var after = SeederRules.Complete(state, succeeded);
                return state.Work == SeederWork.Releasing ? after with { Token = state.Token, Session = state.Session, Round = state.Round } : after;
            },
        }),
        ("a take back by force keeps the region", new RuleSet
        {
            TakeBackByForce = (state, _) => SeederRules.TakeBackByForce(state, state.Record.Region),
        }),
        ("a host trusts what it has of a region that it had let go", new RuleSet
        {
            Begin = (state, token) => LeecherRules.Begin(state, token) with { Copy = CopyChange.None },
        }),
        ("a leecher takes replies of an older generation", new RuleSet
        {
            MindsOldNotes = true,
            Receive = (state, request, reply) => LeecherRules.Receive(state, request with { Generation = state.Generation }, reply),
        }),
        ("a leecher stores bytes that it asked for before a list", new RuleSet
        {
            MindsOldNotes = true,
            MayStore = (state, request) => LeecherRules.MayStore(state, request with { Generation = state.Generation }),
        }),
        ("a leecher trusts its copy in a new session", new RuleSet
        {
            Receive = (state, request, reply) =>
            {
                var step = LeecherRules.Receive(state, request, reply);
                return reply.Answer is SeederAnswer.Tracking or SeederAnswer.Refused ? step with { Copy = CopyChange.None } : step;
            },
        }),
        ("a leecher does not look at the last list", new RuleSet
        {
            Receive = (state, request, reply) =>
            {
                var step = LeecherRules.Receive(state, request, reply);
                return reply.Answer == SeederAnswer.Yours ? step with { Copy = CopyChange.None } : step;
            },
        }),
        ("a leecher resumes before its record is kept", new RuleSet
        {
            Receive = (state, request, reply) =>
            {
                var step = LeecherRules.Receive(state, request, reply);
                return step.State.Work == LeecherWork.Accepting
                    ? step with { State = step.State with { Work = LeecherWork.Resuming, Record = step.State.Next, Next = default } }
                    : step;
            },
        }),
        ("a leecher resumes though its record failed", new RuleSet
        {
            CompleteLeecher = (state, succeeded) => LeecherRules.Complete(state, succeeded || state.Work == LeecherWork.Accepting),
        }),
        ("a leecher gives up without a record", new RuleSet
        {
            GiveUp = state =>
            {
                var after = LeecherRules.GiveUp(state);
                return after.Work == LeecherWork.GivingUp ? after with { Work = LeecherWork.None, Record = after.Next, Next = default } : after;
            },
        }),
        ("a leecher forgets that it gave up before the seeder knows", new RuleSet
        {
            CompleteLeecher = (state, succeeded) => state.Work == LeecherWork.GivingUp && succeeded
                ? state with { Work = LeecherWork.Forgetting, Next = default }
                : LeecherRules.Complete(state, succeeded),
        }),
        ("a leecher says that it has all before that is durable", new RuleSet
        {
            Settle = state => state is { Work: LeecherWork.None, Record.Role: RegionRole.Receiving }
                ? state with { Work = LeecherWork.Settling, Next = state.Record with { Role = RegionRole.Owner } }
                : state,
        }),
        ("a leecher lets the seeder go while it still receives", new RuleSet
        {
            Ask = (state, call) => LeecherRules.Ask(
                call == SeederCall.Close && state.Record.Role == RegionRole.Receiving ? state with { Record = state.Record with { Role = RegionRole.Owner } } : state, call),
        }),
        ("an operator's word that the seeder is lost makes who follows the owner", new RuleSet
        {
            ForgetSeeder = state => state is { Work: LeecherWork.None, Record.Role: RegionRole.Following }
                ? state with { Work = LeecherWork.Accepting, Next = new RegionRecord(RegionRole.Receiving, ModelWorld.Name(1), 2, state.Record.Token) }
                : LeecherRules.ForgetSeeder(state),
        }),
        ("a move whose seeder is lost ends before all is here", new RuleSet
        {
            ForgetSeeder = state => state is { Work: LeecherWork.None, Record.Role: RegionRole.Receiving }
                ? state with { Work = LeecherWork.Closing, Next = state.Record with { Role = RegionRole.Owner, Token = Guid.Empty } }
                : LeecherRules.ForgetSeeder(state),
        }),
        ("a host fetches back what it handed over, before it has let go", new RuleSet
        {
            Begin = (state, token) => LeecherRules.Begin(
                state.Record.Role == RegionRole.HandedOver ? state with { Record = state.Record with { Role = RegionRole.Released } } : state, token),
            MayBegin = static role => role is RegionRole.None or RegionRole.Released or RegionRole.HandedOver,
        }),
        ("bytes that come go over what the application wrote", new RuleSet { KeepsOwnWrites = false }),
    ];
}
