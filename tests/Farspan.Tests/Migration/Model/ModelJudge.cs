using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>What must be so in every world.</summary>
internal static class ModelJudge
{
    /// <summary>What is not so; null where all is well.</summary>
    public static string? Judge(ModelWorld world)
    {
        ref readonly var first = ref world.Hosts[0];
        ref readonly var second = ref world.Hosts[1];
        if (first.IsRunning && second.IsRunning && first.Disk.Region == second.Disk.Region)
            return "two applications run";
        return Judge(world, 0) ?? Judge(world, 1) ?? (world.Store.Exists ? JudgeStore(world) : null) ?? JudgeLoss(world);
    }

    private static string? Judge(ModelWorld world, int host)
    {
        ref readonly var at = ref world.Hosts[host];
        if (at.IsRunning && !at.Disk.MayWrite)
            return $"the application of {host} runs, and nothing durable says that it may";
        if (at is { IsUp: true, IsRunning: false } && at.Seeder.MayRun && at.Leecher.MayRun)
            return $"the application of {host} may run and does not";
        if (at is { IsRunning: true, Kind: ModelKind.Valid } && at.Disk.Region == world.Main && at.Value != world.Truth)
            return $"the application of {host} reads {at.Value} where {world.Truth} was written";
        return null;
    }

    // Whatever crashes now, of what was flushed a durable copy is where its owner finds it.
    private static string? JudgeLoss(ModelWorld world)
    {
        int owner = -1, before = -1;
        for (int i = 0; i < 2; i++)
        {
            var disk = world.Hosts[i].Disk;
            if (disk.Region != world.Main)
                continue;
            if (disk.MayWrite && owner >= 0)
                return "two records say owner";
            if (disk.MayWrite)
                owner = i;
            if (disk.Role == RegionRole.HandedOver)
                before = i;
        }

        if (owner >= 0 && before >= 0 && world.Hosts[before].Disk.Epoch > world.Hosts[owner].Disk.Epoch)
            return "the owner's record is older than another";
        if (world.HasLost)
            return null;
        int keeper = owner >= 0 && world.Hosts[owner].DurableKind == ModelKind.Valid ? owner : before;
        if (keeper < 0 || world.Hosts[keeper].DurableKind != ModelKind.Valid || !HasWhatWasFlushed(world, world.Hosts[keeper].DurableValue))
            return "what was flushed is lost";
        return null;
    }

    // Whatever is lost now for good, the store has what was flushed; and it does not matter from where comes what an owner has not.
    private static string? JudgeStore(ModelWorld world)
    {
        if (!HasWhatWasFlushed(world, world.Store.Value))
            return $"the store has {world.Store.Value} where {world.Flushed} was flushed";
        for (int i = 0; i < 2; i++)
        {
            ref readonly var owner = ref world.Hosts[i];
            ref readonly var other = ref world.Hosts[1 - i];
            if (owner.Disk.Role == RegionRole.Receiving && owner.DurableKind != ModelKind.Valid && other.Disk.Role == RegionRole.HandedOver
                && other.Disk.Region == owner.Disk.Region && owner.Disk.Region == world.Main && other.DurableValue != world.Store.Value)
            {
                return $"a restart of {i} would find {world.Store.Value} in the store and {other.DurableValue} at the seeder";
            }
        }

        return null;
    }

    // Later values have higher numbers. With a store a flush that was cut short may have made more durable than was said.
    private static bool HasWhatWasFlushed(ModelWorld world, byte value) => world.Store.Exists ? value >= world.Flushed : value == world.Flushed;
}
