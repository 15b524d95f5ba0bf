using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>What a message does where it arrives.</summary>
internal static class ModelDelivery
{
    public static void Deliver(RuleSet rules, ModelWorld world, ModelNote note)
    {
        if (note.IsReply)
            Tell(rules, world, note);
        else
            Ask(rules, world, note);
    }

    /// <summary>Puts the host's next state as a leecher; a mutant may have changed its record with it.</summary>
    public static void Change(ModelWorld world, byte host, LeecherState state)
    {
        ref var at = ref world.Hosts[host];
        at.Leecher = state;
        at.Seeder = at.Seeder with { Record = state.Record };
    }

    /// <summary>Begins the world's next move, at a host that may have an old copy.</summary>
    public static void Begin(RuleSet rules, ModelWorld world, byte host)
    {
        ref var at = ref world.Hosts[host];
        var step = rules.Begin(at.Leecher, ModelWorld.Name(world.Moves));
        if (step.Copy == CopyChange.AllUnproven && at.Kind != ModelKind.None)
            at.Kind = at.DurableKind = ModelKind.Unproven;
        at.Mirror.Reset();
        Change(world, host, step.State);
    }

    private static void Ask(RuleSet rules, ModelWorld world, ModelNote note)
    {
        ref var at = ref world.Hosts[1 - note.Leecher];
        if (!at.IsSeeder)
            return;
        long session = at.Seeder.Session;
        var step = rules.Answer(at.Seeder, note.Request);
        at.Seeder = step.State;
        at.Leecher = at.Leecher with { Record = step.State.Record };
        if (step.Reply.Answer == SeederAnswer.Tracking)
            at.IsRecorded = at.IsInRound = false;
        if (step.TakesRound)
            (at.IsInRound, at.IsRecorded) = (at.IsRecorded, false);
        if (step.Reply.Answer == SeederAnswer.Wait)
            return;
        bool isListed = step.Reply.Answer switch
        {
            SeederAnswer.Round => at.IsInRound,
            SeederAnswer.Yours when step.Reply.IsExact
                => at.IsRecorded || (at.IsInRound && rules.RepeatsLostRound && note.Request.Round != at.Seeder.Round),
            _ => false,
        };
        byte value = step.Reply.Answer == SeederAnswer.Bytes ? at.Value : (byte)0;
        world.Send(note with { IsReply = true, Reply = step.Reply, Value = value, IsListed = isListed });
    }

    private static void Tell(RuleSet rules, ModelWorld world, ModelNote note)
    {
        ref var at = ref world.Hosts[note.Leecher];
        if (note.Reply.Answer == SeederAnswer.Bytes)
        {
            if (!rules.MayStore(at.Leecher, note.Request) || (at.Kind == ModelKind.Valid && rules.KeepsOwnWrites))
                return;
            at.Value = note.Value;
            if (at.Leecher.Record.Role == RegionRole.Receiving || at.Leecher.Work == LeecherWork.Accepting)
                at.Kind = ModelKind.Valid;
            else
                (at.Kind, at.DurableValue, at.DurableKind) = (ModelKind.OfSession, note.Value, ModelKind.Unproven);
            return;
        }

        var step = rules.Receive(at.Leecher, note.Request, note.Reply);
        if (at.Kind == ModelKind.OfSession && (step.Copy == CopyChange.AllUnproven || (step.Copy == CopyChange.ListedUnproven && note.IsListed)))
            at.Kind = ModelKind.Unproven;
        if (at.Kind == ModelKind.OfSession && step.State.Work == LeecherWork.Accepting)
            at.Kind = ModelKind.Valid;
        Change(world, note.Leecher, step.State);
    }
}
