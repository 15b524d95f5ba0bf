using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>A cache directory that is used again: what it is worth depends on whether others could write to the remote since.</summary>
public sealed class MountOwnershipTests : IDisposable
{
    private const int Chunk = 4096;
    private const int TimeLimit = 60_000;
    private const int Length = 8 * Chunk;
    private readonly TemporaryDirectory _directory = new();
    private readonly KeptBackend _store = new(new MemoryBackend(Length));

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = TimeLimit)]
    public async Task NobodyBetween_WhatIsCleanIsKept_AndWhatIsDirtyIsPushed()
    {
        await LeaveDirtyAsync();
        await using var mount = await OpenAsync();
        Assert.Equal(Length, mount.Status.LocalBytes);
        Assert.Equal(10, mount.Status.DirtyBytes);
        await mount.FlushAsync();
        Assert.Equal(7, (await StoredAsync())[100]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task AnotherBetween_NothingDirty_WhatIsCleanIsPulledAnew()
    {
        await using (var mount = await OpenAsync())
            await mount.ReadAsync(0, new byte[Length]);
        await WriteAsAnotherAsync(5000, 9);
        await using var again = await OpenAsync();
        Assert.Equal(0, again.Status.LocalBytes);
        Assert.Equal(9, (await ReadAsync(again))[5000]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WriterWithoutALeaseBetween_IsNoticedToo()
    {
        await using (var mount = await OpenAsync())
            await mount.ReadAsync(0, new byte[Length]);
        await using (var other = await OfferAsync(_store))
            await other.WriteAsync(5000, new byte[] { 9 });
        await using var again = await OpenAsync();
        Assert.Equal(9, (await ReadAsync(again))[5000]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task AnotherBetween_DirtyBytes_AreRefusedUntilTheOwnerHasChosen()
    {
        await LeaveDirtyAsync();
        await WriteAsAnotherAsync(104, 9);
        for (int i = 0; i < 2; i++)
        {
            var refused = await Assert.ThrowsAsync<BackendException>(async () => await OpenAsync());
            Assert.Equal(BackendError.Fenced, refused.Error);
            Assert.Contains("10 B in it were not pushed", refused.Message, StringComparison.Ordinal);
            Assert.Contains(_directory["cache"], refused.Message, StringComparison.Ordinal);
        }

        Assert.Equal((0, 9), ((await StoredAsync())[100], (await StoredAsync())[104]));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ChosenToPush_DirtyBytesWin_AndAllAroundThemIsTheOthers()
    {
        await LeaveDirtyAsync();
        await WriteAsAnotherAsync(104, 9);
        await WriteAsAnotherAsync(99, 8);
        await WriteAsAnotherAsync(5000, 6);
        await using (var mount = await OpenAsync(ConflictPolicy.Push))
        {
            byte[] bytes = await ReadAsync(mount);
            Assert.Equal([8, 7, 7], [bytes[99], bytes[100], bytes[104]]);
            Assert.Equal(6, bytes[5000]);
        }

        byte[] stored = await StoredAsync();
        Assert.Equal([8, 7, 7, 6], [stored[99], stored[100], stored[104], stored[5000]]);
        await using var next = await OpenAsync();
        Assert.Equal(Length, next.Status.LocalBytes);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ChosenToDiscard_TheRemoteStaysAsItIs_AndTheNextMountGoesOn()
    {
        await LeaveDirtyAsync();
        await WriteAsAnotherAsync(104, 9);
        await using (var mount = await OpenAsync(ConflictPolicy.Discard))
        {
            byte[] bytes = await ReadAsync(mount);
            Assert.Equal((0, 9), (bytes[100], bytes[104]));
            Assert.Equal(0, mount.Status.DirtyBytes);
        }

        Assert.Equal(0, (await StoredAsync())[100]);
        await using var next = await OpenAsync();
        Assert.Equal(Length, next.Status.LocalBytes);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task FencedWhileOpen_KeepsItsDirtyBytes_SaysSo_AndTheNextMountAsks()
    {
        var store = await OfferAsync(new KeptBackend(_store));
        var mount = await ManagedBackend.OpenAsync(store, Options());
        await mount.ReadAsync(0, new byte[Length]);
        await mount.WriteAsync(100, Sevens);

        // The same store, held by the same key: as another process would come back with a copy of the cache.
        var key = Farspan.Mounts.Caching.CacheLease.TryRead(await File.ReadAllBytesAsync(Path.Combine(_directory["cache"], "lease")))!.Key;
        await using (var rival = await store.GetCapability<ILeasing>()!.AcquireAsync("rival", key))
            await rival.Backend.WriteAsync(100, new byte[] { 3 });
        var fenced = await Assert.ThrowsAsync<BackendException>(async () => await mount.FlushAsync());
        Assert.Equal(BackendError.Fenced, fenced.Error);
        Assert.True(mount.Status.IsFenced);
        await Assert.ThrowsAsync<BackendException>(async () => await mount.WriteAsync(0, Sevens));
        await mount.ReadAsync(100, new byte[10]);
        var report = await mount.CloseAsync();
        Assert.Equal((10, _directory["cache"]), (report.UnpushedBytes, report.KeptIn));
        Assert.Equal(BackendError.Fenced, Assert.IsType<BackendException>(report.Error).Error);
        Assert.Equal(3, (await StoredAsync())[100]);
    }

    /// <summary>Else a process that is killed between the two leaves a lease that nobody can take until it lapses.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task FirstLease_IsAskedForUnderAKeyThatIsKeptAlready()
    {
        var remote = new LeasingRemote(Length);
        Guid? kept = null;
        remote.Acquiring = () => kept = Farspan.Mounts.Caching.CacheLease.TryRead(File.ReadAllBytes(Path.Combine(_directory["cache"], "lease")))?.Key;
        await using var mount = await ManagedBackend.OpenAsync(remote, Options());
        Assert.Equal(remote.LastKey, kept);
        Assert.NotNull(kept);
    }

    private static byte[] Sevens => [7, 7, 7, 7, 7, 7, 7, 7, 7, 7];

    private static async Task<byte[]> ReadAsync(ManagedBackend mount)
    {
        byte[] bytes = new byte[Length];
        await mount.ReadAsync(0, bytes);
        return bytes;
    }

    private ManagedMountOptions Options(ConflictPolicy onConflict = ConflictPolicy.Refuse) => new()
    {
        CacheDirectory = _directory["cache"],
        RemoteName = "store",
        ChunkSize = Chunk,
        BackgroundPull = BackgroundPull.Nothing,
        PushInterval = TimeSpan.FromHours(1),
        CloseTimeout = TimeSpan.FromMilliseconds(50),
        OnConflict = onConflict,
    };

    private ValueTask<IBackend> OfferAsync(IBackend store) => LocalLeasing.OfferAsync(new KeptBackend(store), _directory["store"]);

    private async Task<ManagedBackend> OpenAsync(ConflictPolicy onConflict = ConflictPolicy.Refuse)
        => await ManagedBackend.OpenAsync(await OfferAsync(_store), Options(onConflict) with { CloseTimeout = TimeSpan.FromSeconds(30) });

    /// <summary>All of the store is local and clean, but for ten bytes that could not be pushed.</summary>
    private async Task LeaveDirtyAsync()
    {
        var faults = new FaultInjectionStage(new KeptBackend(_store));
        var mount = await ManagedBackend.OpenAsync(await OfferAsync(faults), Options());
        await mount.ReadAsync(0, new byte[Length]);
        faults.Inject(new FaultRule { Error = BackendError.Disconnected, Count = int.MaxValue });
        await mount.WriteAsync(100, Sevens);
        Assert.Equal(10, (await mount.CloseAsync()).UnpushedBytes);
    }

    private async Task WriteAsAnotherAsync(long offset, byte value)
    {
        await using var other = await OfferAsync(_store);
        await using var lease = await other.GetCapability<ILeasing>()!.AcquireAsync("another");
        await lease.Backend.WriteAsync(offset, new[] { value });
    }

    private async Task<byte[]> StoredAsync()
    {
        byte[] bytes = new byte[Length];
        await _store.ReadAsync(0, bytes);
        return bytes;
    }
}
