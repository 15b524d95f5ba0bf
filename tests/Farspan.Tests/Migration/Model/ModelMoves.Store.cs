using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>What happens with the store behind the region, and where a host is lost.</summary>
internal sealed partial class ModelMoves
{
    // A hand-over waits until what stands behind the region is in line, for flushes that somebody waits for, and for its own.
    private bool IsCarried(ModelWorld world, in ModelHost at)
        => !world.Store.Exists || !rules.Store.HoldsHandOvers || at.Seeder.Work switch
        {
            SeederWork.Suspending => at.Mirror is { Line: ModelLine.IsInLine, Covers: 0 },
            SeederWork.Flushing => at.Mirror.Flush == ModelFlush.IsThere,
            _ => true,
        };

    private void Store(ModelWorld world, byte host, ModelStep own)
    {
        ref readonly var at = ref world.Hosts[host];
        bool isOwner = at.Disk.MayWrite && at.Seeder.Record.MayWrite && (at.IsRunning || at.Mirror.Line != ModelLine.None);
        bool isAsked = isOwner || (!rules.Store.IsTakenByOwners && at.Disk.Role == RegionRole.HandedOver);
        if (isAsked && MayHold(world, host) && (at.Mirror.Line == ModelLine.None || (at.Mirror.Line == ModelLine.IsLost && rules.Store.Regains)))
            Next(world, own, new(host, "takes the store"), (next, host) => Take(next, host), host);
        if (!isOwner && at.Mirror.Line != ModelLine.None && world.Store.Holder != host && world.Faults < limits.Faults && MayHold(world, host))
            Fail(world, new(host, "takes the store late"), static (next, host) => Hold(next, host), host);
        if (at.Mirror.Line == ModelLine.IsCompared && at.Mirror.Flush == ModelFlush.None && at.Kind == ModelKind.Valid)
            Next(world, own, new(host, "compares the store"), (next, host) => Compare(next, host), host);
        bool isReader = at.Leecher.Record.Role == RegionRole.Receiving || (at.Leecher is { Record.Role: RegionRole.Following, Session: not 0 } && !rules.Store.IsReadByOwners);
        if (isReader && at.Kind is ModelKind.None or ModelKind.Unproven)
            Next(world, own, new(host, "reads the store"), static (next, host) => Read(next, host), host);
        Flushes(world, host, own);
    }

    private void Flushes(ModelWorld world, byte host, ModelStep own)
    {
        ref readonly var at = ref world.Hosts[host];
        bool isHandingOver = at.Seeder.Work == SeederWork.Flushing;
        switch (at.Mirror.Flush)
        {
            case ModelFlush.None when at.Mirror.Line == ModelLine.IsInLine && isHandingOver:
                Next(world, own, new(host, "flushes, to hand over"), (next, host) => BeginFlush(next, host), host);
                break;
            case ModelFlush.None when at.Mirror.Line == ModelLine.IsInLine && at.IsRunning && (world.Flushed != world.Truth || at.Mirror.IsMarked || at.Kind != ModelKind.Valid):
                Next(world, own | ModelStep.Choice, new(host, "flushes"), (next, host) => BeginFlush(next, host), host);
                break;
            case ModelFlush.IsHere:
                Next(world, own, new(host, "carries"), (next, host) => Carry(next, host), host);
                break;
            case ModelFlush.IsCarried:
                Next(world, own, new(host, "has written the store"), (next, host) => EndCarry(next, host), host);
                break;
        }

        if (at.Mirror is { Covers: not 0, Flush: ModelFlush.IsHere or ModelFlush.IsCarried } && !isHandingOver && world.Faults < limits.Faults)
            Fail(world, new(host, "gives its flush up"), (next, host) => LeaveFlush(next, host), host);
    }

    // Writes that nobody waits for, and hosts that never come back.
    private void Losses(ModelWorld world)
    {
        for (byte host = 0; host < 2; host++)
        {
            ref readonly var at = ref world.Hosts[host];
            if (at.Mirror.Stray != 0)
                Next(world, ModelStep.None, new(host, "has a late write carried out"), (next, host) => EndStray(next, host), host);
            if (world.HasLost)
                continue;
            if (world.Faults < limits.Faults)
                Fail(world, new(host, "is lost for good"), static (next, host) => Lose(next, host), host);
        }

        // Nobody has the region any more, or who has it is silent, and the operator says that he is lost.
        if (world.Forced != 0)
            return;
        for (byte host = 0; host < 2; host++)
        {
            if (IsGone(world, 0) && IsGone(world, 1) && (world.HasLost || IsSilent(world, 1 - host)))
                Next(world, ModelStep.Force, new(host, "seeds anew from the store"), (next, host) => SeedAnew(next, host), host);
        }
    }

    private static bool IsGone(ModelWorld world, int host) => !world.Hosts[host].Disk.MayWrite || IsSilent(world, host);

    private static bool IsSilent(ModelWorld world, int host) => world.Hosts[host] is { IsUp: false, Disk.MayWrite: true };

    // With the key of who has it, or where that one is silent.
    private static bool MayHold(ModelWorld world, byte host)
    {
        var store = world.Store;
        var region = world.Hosts[host].Disk.Region;
        return store.Holder == ModelStore.Nobody || store.Holder == host || store.Key == region
            || (region == world.Main && (!world.Hosts[store.Holder].IsUp || world.Hosts[store.Holder].IsReplaced));
    }

    private void Take(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        bool isSame = at.Mirror.Line == ModelLine.None ? at.Mirror.IsNew || !rules.Store.ComparesAfterStart : !rules.Store.ComparesWhatWasLost;
        at.Mirror.Line = isSame ? ModelLine.IsInLine : ModelLine.IsCompared;
        at.Mirror.IsNew = false;
        Hold(next, host);
        if (!rules.Store.Fences)
            return;
        next.Hosts[0].Mirror.Stray = next.Hosts[1].Mirror.Stray = 0;
    }

    private static void Hold(ModelWorld next, byte host) => (next.Store.Holder, next.Store.Key) = (host, next.Hosts[host].Disk.Region);

    private void Compare(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        if (next.Store.Value == at.Value)
            at.Mirror.Line = ModelLine.IsInLine;
        else if (rules.Store.ComparesWhatIsDurable && (at.DurableKind != ModelKind.Valid || at.DurableValue != at.Value))
            Flush(next, host);
        else
            at.Mirror.Line = Write(next, host, at.Value) ? ModelLine.IsInLine : ModelLine.IsLost;
    }

    private static void Read(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        at.Value = next.Store.Value;
        if (at.Leecher.Record.Role == RegionRole.Receiving)
            at.Kind = ModelKind.Valid;
        else
            (at.Kind, at.DurableValue, at.DurableKind) = (ModelKind.OfSession, at.Value, ModelKind.Unproven);
    }

    private void BeginFlush(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        if (rules.Store.LooksBeforeFlush)
            Look(ref at.Mirror);
        Flush(next, host);
        at.Mirror.Flush = ModelFlush.IsHere;
        at.Mirror.Covers = at.Disk.Region == next.Main ? next.Truth : (byte)0;
    }

    private void Carry(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        if (!rules.Store.LooksBeforeFlush)
            Look(ref at.Mirror);
        if (at.Mirror.IsLeft)
            (at.Mirror.Flush, at.Mirror.Carried) = (ModelFlush.IsCarried, at.Value);
        if (!at.Mirror.IsLeft || !rules.Store.HoldsFlushes)
            Say(next, host, ended: !at.Mirror.IsLeft);
    }

    private void EndCarry(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        byte carried = at.Mirror.Carried;
        at.Mirror.Carried = 0;
        if (Write(next, host, carried))
        {
            at.Mirror.IsLeft = false;
            Say(next, host, ended: true);
            return;
        }

        // It is made anew once the store was got again.
        at.Mirror.Line = ModelLine.IsLost;
        at.Mirror.Flush = ModelFlush.None;
        at.Mirror.Covers = 0;
    }

    private static void Say(ModelWorld next, byte host, bool ended)
    {
        ref var at = ref next.Hosts[host];
        bool isHandingOver = at.Seeder.Work == SeederWork.Flushing;
        if (at.Mirror.Covers > next.Flushed && !isHandingOver && at.Disk.Region == next.Main)
            next.Flushed = at.Mirror.Covers;
        if (!isHandingOver || !ended)
            at.Mirror.Covers = 0;
        if (ended)
            at.Mirror.Flush = isHandingOver && at.Mirror.Covers != 0 ? ModelFlush.IsThere : ModelFlush.None;
    }

    private void EndFlush(ModelWorld next, byte host, bool succeeded)
    {
        ref var at = ref next.Hosts[host];
        if (succeeded)
            Flush(next, host);
        if (!next.Store.Exists)
            return;
        if (succeeded && at.Disk.Region == next.Main)
            next.Flushed = next.Truth;
        if (at.Mirror.Flush == ModelFlush.IsThere)
            at.Mirror.Flush = ModelFlush.None;
        LeaveFlush(next, host);
    }

    private void LeaveFlush(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        at.Mirror.Covers = 0;
        if (rules.Store.LetsWritesEnd || at.Mirror.Flush != ModelFlush.IsCarried)
            return;
        at.Mirror.Flush = ModelFlush.None;
        (at.Mirror.Stray, at.Mirror.Carried) = (at.Mirror.Carried, 0);
    }

    private void EndStray(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        if (next.Store.Holder == host || !rules.Store.Fences)
            next.Store.Value = at.Mirror.Stray;
        at.Mirror.Stray = 0;
    }

    private bool Write(ModelWorld next, byte host, byte value)
    {
        if (next.Store.Holder != host && rules.Store.Fences)
            return false;
        next.Store.Value = value;
        return true;
    }

    private static void Look(ref ModelMirror mirror)
    {
        mirror.IsLeft |= mirror.IsMarked;
        mirror.IsMarked = false;
    }

    private static void Lose(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        bool isOwner = at.Disk.MayWrite && at.Disk.Region == next.Main;
        at.Crash();
        at = new ModelHost { IsReplaced = true, Seeder = at.Seeder, Leecher = at.Leecher, Mirror = at.Mirror };
        if (isOwner)
            next.Truth = next.Store.Value;
    }

    private void SeedAnew(ModelWorld next, byte host)
    {
        ref var at = ref next.Hosts[host];
        var name = rules.Store.NamesAnew ? ModelWorld.Name(2) : next.Main;
        next.Forced = 1;
        at.Crash();
        at = new ModelHost
        {
            Disk = RegionRecord.Begin(name), Value = next.Store.Value, DurableValue = next.Store.Value, Kind = ModelKind.Valid, DurableKind = ModelKind.Valid,
            IsReplaced = at.IsReplaced, Seeder = at.Seeder, Leecher = at.Leecher, Mirror = at.Mirror,
        };
        next.Main = name;
        next.Truth = next.Flushed = next.Store.Value;
        at.Start(rules);
        Take(next, host);
    }
}
