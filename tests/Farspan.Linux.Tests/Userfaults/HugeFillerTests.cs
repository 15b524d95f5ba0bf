using Farspan.Backends;
using Farspan.Linux.Userfaults;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>Huge pages that are filled elsewhere and moved into a region.</summary>
public sealed class HugeFillerTests
{
    private const int Page = 4096;
    private const int Chunk = 64 << 10;
    private const int Length = (3 * HugePage.Length) + Chunk + 100;

    [RequiresFact("userfault:MOVE")]
    public async Task LentBytes_AreMovedIn_Whole_AndCountAsUnwrittenUntilTheyAreWritten()
    {
        await using var store = await StoreAsync();
        using var memory = AnonymousMemory.Create(3 * HugePage.Length, isReadOnly: false);
        using var filler = new HugeFiller(memory, store);
        Assert.Equal(SystemHasHugePages(), filler.TryFill(HugePage.Length));
        Assert.False(memory.IsHere(HugePage.Length - Page));
        Assert.False(memory.IsHere(2 * HugePage.Length));
        if (!memory.IsHere(HugePage.Length))
            return;
        Assert.Equal(Bytes(HugePage.Length, HugePage.Length), Read(memory, HugePage.Length, HugePage.Length));
        if (!memory.TracksWrites)
            return;
        var written = new PageSpan[4];
        Assert.Equal(0, memory.ListWritten(0, memory.Length, written, out _));
        Write(memory, HugePage.Length + (5 * Page) + 7, 1);
        Assert.Equal(1, memory.ListWritten(0, memory.Length, written, out _));
        Assert.Equal(new PageSpan(HugePage.Length + (5 * Page), Page), written[0]);
    }

    [RequiresTheory("userfault:MOVE")]
    [InlineData(0)]
    [InlineData(9)]
    public async Task MemoryThatIsPartlyPresent_IsLeftAsItIs(int present)
    {
        await using var store = await StoreAsync();
        using var memory = AnonymousMemory.Create(HugePage.Length, isReadOnly: false);
        Assert.Equal(FillOutcome.Done, memory.FillZero(present * Page, Page));
        using var filler = new HugeFiller(memory, store);
        Assert.False(filler.TryFill(0));
        Assert.Equal(new byte[Page], Read(memory, present * Page, Page));

        // What others dropped can be moved in again.
        memory.Drop(0, HugePage.Length);
        Assert.Equal(SystemHasHugePages(), filler.TryFill(0));
    }

    [RequiresFact("userfault:MOVE")]
    public async Task WhatIsNotLent_AndWhatIsNotAligned_IsLeftToOthers()
    {
        await using var store = new MemoryBackend(2 * HugePage.Length);
        await store.WriteAsync(0, new byte[Page]);
        using var memory = AnonymousMemory.Create(2 * HugePage.Length, isReadOnly: false);
        using var filler = new HugeFiller(memory, store);
        Assert.False(filler.TryFill(0));
        await store.WriteAsync(0, Bytes(0, 2 * HugePage.Length));
        Assert.False(filler.TryFill(Chunk));
        Assert.False(memory.IsHere(Chunk));
        Assert.Equal(SystemHasHugePages(), filler.TryFill(0));
        filler.Dispose();
        Assert.False(filler.TryFill(HugePage.Length));
    }

    [RequiresFact("userfault")]
    public async Task Prefetch_AroundWhatIsPresentAndWritten_BringsTheRest_AndSavesThatAlone()
    {
        await using var store = await StoreAsync();
        await using (var region = RemoteMemory.Map(store))
        {
            long place = HugePage.Length + (3 * Chunk) + 5;
            region.CopyFrom(place, [99]);
            await region.PrefetchAsync(0, Length);
            byte[] expected = Bytes(0, Length);
            expected[place] = 99;
            byte[] found = new byte[Length];
            region.CopyTo(0, found);
            Assert.Equal(expected, found);

            // A byte of a page that was moved in as part of a huge one, and one after all of these.
            region.CopyFrom(7, [98]);
            region.CopyFrom(Length - 1, [97]);
            await region.FlushAsync();
            Assert.Equal(2 * Page, region.Status.SavedBytes - (Length & (Page - 1)));
            Assert.Equal(0, region.Status.UnsavedBytes);
            Assert.Null(region.Status.LastError);
            byte[] stored = new byte[Length];
            await store.ReadAsync(0, stored);
            (expected[7], expected[Length - 1]) = (98, 97);
            Assert.Equal(expected, stored);
        }
    }

    // Else a view would be handed out over memory that is not there.
    [RequiresFact("userfault")]
    public async Task Prefetch_WhereAMoveIsRefused_BringsEveryPageByCopies()
    {
        await using var store = await StoreAsync();
        await using var region = RemoteMemory.Map(store);
        var memory = region.Service.Memory;
        Put(memory, Bytes(0, Page));
        await region.PrefetchAsync(0, HugePage.Length);
        Assert.All(Enumerable.Range(0, HugePage.Length / Page), index => Assert.True(memory.IsHere(index * Page)));
        byte[] found = new byte[HugePage.Length];
        region.CopyTo(0, found);
        Assert.Equal(Bytes(0, HugePage.Length), found);
        Assert.Equal(0, region.Service.Counters.Faults);
    }

    private static unsafe void Put(RegionMemory memory, byte[] bytes)
    {
        fixed (byte* start = bytes)
            Assert.Equal(FillOutcome.Done, memory.Fill(0, start, bytes.Length));
    }

    private static bool SystemHasHugePages()
    {
        using var page = HugePage.TryCreate();
        return page?.TryProvide() == true;
    }

    private static async Task<MemoryBackend> StoreAsync()
    {
        var store = new MemoryBackend(Length);
        await store.WriteAsync(0, Bytes(0, Length));
        return store;
    }

    private static byte[] Bytes(int offset, int length)
    {
        byte[] all = new byte[Length];
        new Random(Length).NextBytes(all);
        return all[offset..(offset + length)];
    }

    private static unsafe byte[] Read(AnonymousMemory memory, long offset, int length)
    {
        byte[] found = new byte[length];
        fixed (byte* start = found)
            memory.CopyOut(offset, start, length);
        return found;
    }

    private static unsafe void Write(AnonymousMemory memory, long offset, byte value) => memory.CopyIn(offset, &value, 1);
}
