using Farspan.Backends;
using Farspan.Linux.Userfaults;
using Farspan.Stages;
using Farspan.TestKit;
using Farspan.Transports;
using FsCheck;
using FsCheck.Fluent;
using Xunit;
using InjectedKind = Farspan.Stages.FaultKind;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>
/// Random reads, writes, prefetches and flushes at once, of a region that saves all the time and drops what is beyond its limit, over a backend that is slow
/// and fails: every byte that is read, and every byte at the backend after a flush, is one that may be there.
/// </summary>
public sealed class RegionPropertyTests
{
    private const int Users = 4;

    [RequiresFact("userfault", Timeout = 3_600_000)]
    public Task EverythingAtOnce_OverATroubledBackend_IsExplained()
        => Task.Run(() => FsCheck.Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(LongRun.IsAskedFor ? 400 : 25),
            Prop.ForAll(RegionCase.Cases.ToArbitrary(), test => RunAsync(test).WaitAsync(TimeSpan.FromSeconds(90)).GetAwaiter().GetResult())));

    private static async Task RunAsync(RegionCase test)
    {
        await using var store = new MemoryBackend(test.Length);
        await using var remote = new FaultInjectionStage(Line(store, test), test.Seed);
        var slots = new VersionedSlots(test.Length);
        var region = RemoteMemory.Map(remote, new RemoteMemoryOptions
        {
            ChunkSize = test.ChunkSize,
            ResidentLimit = test.LimitChunks == 0 ? null : (long)test.LimitChunks * test.ChunkSize,
            SaveInterval = TimeSpan.FromMilliseconds(10),
        });
        InjectedFault[] faults = [.. Troubles(test.Failing / 100.0).Select(remote.Inject)];
        await Task.WhenAll(Enumerable.Range(0, Users).Select(user => Task.Run(() => UseAsync(region, store, slots, user, new Random(test.Seed + user)))));
        foreach (var fault in faults)
            fault.Dispose();

        int[] acknowledged = slots.Acknowledged(0, slots.Count);
        byte[] found = new byte[test.Length];
        await region.CopyToAsync(0, found);
        slots.Check("the region at the end", 0, acknowledged, found);
        await region.FlushAsync();
        byte[] stored = new byte[test.Length];
        await store.ReadAsync(0, stored);
        Assert.Equal(found, stored);
        Assert.True((await region.CloseAsync()).IsComplete);
        Assert.Null(region.Service.Failure);
    }

    private static async Task UseAsync(RemoteMemory region, MemoryBackend store, VersionedSlots slots, int user, Random random)
    {
        byte[] found = new byte[16 * VersionedSlots.SlotLength];
        for (int step = 0; step < 120; step++)
        {
            // Each writes every fourth slot, so that they share pages.
            int own = (random.Next(slots.Count / Users) * Users) + user;
            int first = random.Next(slots.Count - 16);
            int[] acknowledged = slots.Acknowledged(first, 16);
            try
            {
                switch (random.Next(10))
                {
                    case < 5:
                        await WriteAsync(region, own, slots.Begin(own), random.Next(3));
                        slots.Acknowledge(own);
                        break;
                    case < 8:
                        await ReadAsync(region, first, found, random.Next(3));
                        slots.Check("the region", first, acknowledged, found);
                        break;
                    case 8:
                        await region.PrefetchAsync((long)first * VersionedSlots.SlotLength, random.Next(found.Length));
                        break;
                    default:
                        await region.FlushAsync();
                        await store.ReadAsync((long)first * VersionedSlots.SlotLength, found);
                        slots.Check("the backend", first, acknowledged, found);
                        break;
                }
            }
            catch (BackendException error) when (error.Error == BackendError.InputOutput)
            {
                // One of those that were injected.
            }
        }
    }

    private static async Task WriteAsync(RemoteMemory region, int slot, byte[] bytes, int way)
    {
        long offset = (long)slot * VersionedSlots.SlotLength;
        switch (way)
        {
            case 0:
                region.CopyFrom(offset, bytes);
                break;
            case 1:
                await region.CopyFromAsync(offset, bytes);
                break;
            default:
                using (var view = await region.AcquireAsync(offset, bytes.Length))
                    bytes.CopyTo(view.Span);
                break;
        }
    }

    private static async Task ReadAsync(RemoteMemory region, int first, byte[] found, int way)
    {
        long offset = (long)first * VersionedSlots.SlotLength;
        switch (way)
        {
            case 0:
                region.CopyTo(offset, found);
                break;
            case 1:
                await region.CopyToAsync(offset, found);
                break;
            default:
                using (var view = await region.AcquireAsync(offset, found.Length))
                    view.ReadOnlySpan.CopyTo(found);
                break;
        }
    }

    private static IBackend Line(MemoryBackend store, RegionCase test)
        => test.IsSlow ? new SimulatedLinkStage(store, new LinkModel(new LinkOptions { RoundTripTime = TimeSpan.FromMilliseconds(1) })) : new LockGateStage(store);

    private static IEnumerable<FaultRule> Troubles(double probability) =>
    [
        new FaultRule { Probability = probability },
        new FaultRule { Kind = InjectedKind.Short, Operations = BackendOperation.Write, Probability = probability / 2 },
        new FaultRule { Kind = InjectedKind.LostReply, Operations = BackendOperation.Write, Probability = probability / 2 },
    ];
}
