using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>All that can happen next in a world.</summary>
internal sealed partial class ModelMoves(RuleSet rules, ModelLimits limits, Action<ModelStep, ModelEvent, ModelWorld> found)
{
    private static readonly SeederCall[] Calls =
        [SeederCall.Track, SeederCall.Round, SeederCall.Read, SeederCall.Finalize, SeederCall.Close, SeederCall.GiveUp];

    private static readonly string[] CallNames = Enum.GetNames<SeederCall>();
    private static readonly string[] AnswerNames = Enum.GetNames<SeederAnswer>();
    private static readonly string[] SeederNames = Enum.GetNames<SeederWork>();
    private static readonly string[] LeecherNames = Enum.GetNames<LeecherWork>();

    public void List(ModelWorld world)
    {
        for (byte host = 0; host < 2; host++)
        {
            var own = host == 0 ? ModelStep.First : ModelStep.Second;
            if (!world.Hosts[host].IsUp)
            {
                Next(world, own, new(host, "starts"), (next, at) => next.Hosts[at].Start(rules), host);
                continue;
            }

            Application(world, host, own);
            Seeder(world, host, own);
            Leecher(world, host, own);
            if (world.Store.Exists)
                Store(world, host, own);
            if (world.Faults < limits.Faults)
                Crash(world, host);
        }

        if (world.Store.Exists)
            Losses(world);

        for (int i = 0; i < world.Notes.Length; i++)
            Note(world, i);
    }

    private static bool IsRecord(SeederWork work) => work is SeederWork.Committing or SeederWork.TakingBack or SeederWork.Releasing;

    private static bool IsRecord(LeecherWork work)
        => work is not (LeecherWork.None or LeecherWork.Resuming or LeecherWork.Flushing);

    private void Application(ModelWorld world, byte host, ModelStep own)
    {
        ref readonly var at = ref world.Hosts[host];
        if (!at.IsRunning)
            return;
        if (world.LastValue <= limits.Writes && at.Disk.Region == world.Main)
        {
            Next(world, own | ModelStep.Choice, new(host, "writes"), static (next, host) =>
            {
                ref var at = ref next.Hosts[host];
                at.Value = next.Truth = ++next.LastValue;
                at.Kind = ModelKind.Valid;
                at.IsRecorded |= at.Seeder.Session != 0;
                at.Mirror.IsMarked = next.Store.Exists;
            }, host);
        }

        if (!world.Store.Exists && at.Kind == ModelKind.Valid && (at.DurableValue != at.Value || at.DurableKind != ModelKind.Valid))
            Next(world, own | ModelStep.Choice, new(host, "flushes"), static (next, host) => Flush(next, host), host);
    }

    private void Seeder(ModelWorld world, byte host, ModelStep own)
    {
        ref readonly var at = ref world.Hosts[host];
        var work = at.Seeder.Work;
        if (work != SeederWork.None)
        {
            if (IsCarried(world, at))
                Next(world, own, new(host, "has done", SeederNames[(int)work]), (next, host) => EndSeeder(next, host, succeeded: true, isKept: true), host);
            if (world.Faults < limits.Faults && work != SeederWork.Resuming)
            {
                Fail(world, new(host, "failed", SeederNames[(int)work]), (next, host) => EndSeeder(next, host, succeeded: false, isKept: false), host);
                if (IsRecord(work))
                    Fail(world, new(host, "kept, and calls failed:", SeederNames[(int)work]), (next, host) => EndSeeder(next, host, succeeded: false, isKept: true), host);
            }

            return;
        }

        if (at.Seeder.Session != 0)
            Seeding(world, own | ModelStep.Choice, new(host, "misses its leecher"), state => rules.Expire(state), host);
        if (at.IsIdle && at.IsSeeder && !world.Store.Exists && world.Forced == 0 && at.Seeder.Record.Role is RegionRole.HandedOver or RegionRole.Released)
        {
            var next = world.Copy();
            next.Forced = 1;
            Seeding(next, own | ModelStep.Force, new(host, "takes back by force"), state => rules.TakeBackByForce(state, ModelWorld.Name(2)), host);
        }
    }

    private void Leecher(ModelWorld world, byte host, ModelStep own)
    {
        ref readonly var at = ref world.Hosts[host];
        var work = at.Leecher.Work;
        if (work != LeecherWork.None)
        {
            Next(world, own, new(host, "has done", LeecherNames[(int)work]), (next, host) => EndLeecher(next, host, succeeded: true, isKept: true), host);
            if (world.Faults < limits.Faults && work != LeecherWork.Resuming)
            {
                Fail(world, new(host, "failed", LeecherNames[(int)work]), (next, host) => EndLeecher(next, host, succeeded: false, isKept: false), host);
                if (IsRecord(work))
                    Fail(world, new(host, "kept, and calls failed:", LeecherNames[(int)work]), (next, host) => EndLeecher(next, host, succeeded: false, isKept: true), host);
            }
        }

        if (at.IsIdle && world.Moves < limits.Moves && rules.MayBegin(at.Leecher.Record.Role))
        {
            var next = world.Copy();
            next.Moves++;
            Next(next, own | ModelStep.Choice, new(host, "begins"), (next, host) => ModelDelivery.Begin(rules, next, host), host);
        }

        if (at.IsIdle && !at.IsSeeder && rules.MaySeed(at.Leecher.Record) && at.Mirror.Flush == ModelFlush.None)
            Next(world, own, new(host, "seeds"), (next, host) => Seed(next, host), host);
        if (at.Leecher.Record.Role == RegionRole.Following)
            Leeching(world, own | ModelStep.Choice, new(host, "gives up"), state => rules.GiveUp(state), host);
        if (at.Leecher.Record.Role == RegionRole.Receiving && at.Kind == ModelKind.Valid)
            Leeching(world, own, new(host, "has all"), state => rules.Settle(state), host);
        if (at.Seeder.Work == SeederWork.None && rules.ForgetSeeder(at.Leecher) != at.Leecher)
            Leeching(world, own | ModelStep.Force, new(host, "forgets its seeder"), state => rules.ForgetSeeder(state), host);
        if (world.Notes.Length >= limits.Notes)
            return;
        foreach (var call in Calls)
        {
            if (rules.Ask(at.Leecher, call) is not { } request || !IsWorthwhile(at, call))
                continue;
            Next(world, own, new(host, "asks", CallNames[(int)call]), (next, host) => next.Send(new ModelNote(host, IsReply: false, request)), host);
        }
    }

    private bool IsWorthwhile(in ModelHost at, SeederCall call) => call switch
    {
        SeederCall.Track => at.Leecher.Session == 0,
        SeederCall.Round => at.Leecher.Round < limits.Rounds,
        SeederCall.Read => at.Kind is ModelKind.None or ModelKind.Unproven,
        _ => true,
    };

    private void Crash(ModelWorld world, byte host)
    {
        ref readonly var at = ref world.Hosts[host];
        Fail(world, new(host, "crashes"), static (next, host) => Crash(next, host, isKept: false), host);
        if (IsRecord(at.Seeder.Work) || IsRecord(at.Leecher.Work))
            Fail(world, new(host, "crashes, its record is kept"), static (next, host) => Crash(next, host, isKept: true), host);
    }

    private void Note(ModelWorld world, int index)
    {
        var note = world.Notes[index];
        int to = note.IsReply ? note.Leecher : 1 - note.Leecher;
        var without = world.Copy();
        without.Notes = Without(world.Notes, index);
        string detail = note.IsReply ? AnswerNames[(int)note.Reply.Answer] : CallNames[(int)note.Request.Call];
        Found(without, ModelStep.Fault, new(to, note.IsReply ? "is not told" : "is not asked", detail));
        if (!world.Hosts[to].IsUp)
            return;
        Deliver(without, ModelStep.None, new(to, note.IsReply ? "is told" : "is asked", detail), note);
        if (world.Notes.Length < limits.Notes)
            Deliver(world, ModelStep.Fault, new(to, note.IsReply ? "is told for the first time" : "is asked for the first time", detail), note);
    }

    private static ModelNote[] Without(ModelNote[] notes, int index)
    {
        var rest = new ModelNote[notes.Length - 1];
        notes.AsSpan(0, index).CopyTo(rest);
        notes.AsSpan(index + 1).CopyTo(rest.AsSpan(index));
        return rest;
    }

    private void Deliver(ModelWorld world, ModelStep step, ModelEvent what, ModelNote note)
        => Next(world, step, what, (next, _) => ModelDelivery.Deliver(rules, next, note), 0);

    private void EndSeeder(ModelWorld next, byte host, bool succeeded, bool isKept)
    {
        ref var at = ref next.Hosts[host];
        var work = at.Seeder.Work;
        if (IsRecord(work) && isKept)
            next.Keep(host, at.Seeder.Next);
        if (succeeded && work == SeederWork.Suspending)
            at.IsRunning = false;
        if (work == SeederWork.Flushing)
            EndFlush(next, host, succeeded);
        if (succeeded && work == SeederWork.Resuming)
            at.IsRunning = true;
        if (succeeded && work == SeederWork.Releasing)
            (at.Value, at.Kind, at.DurableValue, at.DurableKind) = (0, ModelKind.None, 0, ModelKind.None);
        at.Seeder = rules.CompleteSeeder(at.Seeder, succeeded);
        at.Leecher = at.Leecher with { Record = at.Seeder.Record };
    }

    private void EndLeecher(ModelWorld next, byte host, bool succeeded, bool isKept)
    {
        ref var at = ref next.Hosts[host];
        var work = at.Leecher.Work;
        if (IsRecord(work) && isKept)
            next.Keep(host, at.Leecher.Next);
        if (succeeded && work == LeecherWork.Flushing)
            Flush(next, host);
        if (succeeded && work == LeecherWork.Resuming)
            at.IsRunning = at.Mirror.IsNew = true;
        at.Leecher = rules.CompleteLeecher(at.Leecher, succeeded);
        at.Seeder = at.Seeder with { Record = at.Leecher.Record };
    }

    private static void Flush(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        if (at.Kind != ModelKind.Valid)
            return;
        at.DurableValue = at.Value;
        at.DurableKind = ModelKind.Valid;
        if (at.Disk.Region == next.Main && !next.Store.Exists)
            next.Flushed = next.Truth;
    }

    private static void Crash(ModelWorld next, byte host, bool isKept)
    {
        ref var at = ref next.Hosts[host];
        if (isKept)
            next.Keep(host, IsRecord(at.Seeder.Work) ? at.Seeder.Next : at.Leecher.Next);
        bool isOwner = at.Disk.MayWrite && at.Disk.Region == next.Main;
        at.Crash();
        if (isOwner)
            next.Truth = !next.Store.Exists ? next.Flushed : at.DurableKind == ModelKind.Valid ? at.DurableValue : next.Store.Value;
    }

    // What served the region as a leecher's is ended, and something new serves it.
    private void Seed(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        at.IsSeeder = true;
        at.Seeder = rules.StartSeeder(at.Disk, at.Seeder.LastSession);
        at.Mirror.Reset();
        at.Mirror.IsNew = !rules.Store.ComparesToSeed;
    }

    private void Seeding(ModelWorld world, ModelStep step, ModelEvent what, Func<SeederState, SeederState> change, byte host)
        => Next(world, step, what, (next, host) => next.Hosts[host].Seeder = change(next.Hosts[host].Seeder), host);

    private void Leeching(ModelWorld world, ModelStep step, ModelEvent what, Func<LeecherState, LeecherState> change, byte host)
        => Next(world, step, what, (next, host) => ModelDelivery.Change(next, host, change(next.Hosts[host].Leecher)), host);

    private void Fail(ModelWorld world, ModelEvent what, Action<ModelWorld, byte> change, byte host)
        => Next(world, ModelStep.Fault, what, (next, host) =>
        {
            next.Faults++;
            change(next, host);
        }, host);

    private void Next(ModelWorld world, ModelStep step, ModelEvent what, Action<ModelWorld, byte> change, byte host)
    {
        var next = world.Copy();
        change(next, host);
        Found(next, step, what);
    }

    private void Found(ModelWorld next, ModelStep step, ModelEvent what)
    {
        next.Normalize(rules.MindsOldNotes);
        found(step, what, next);
    }
}
