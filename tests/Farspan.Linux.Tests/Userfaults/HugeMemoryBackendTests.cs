using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.Mounts;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>Memory by huge pages: what every backend promises, and what it is for.</summary>
public sealed class HugeMemoryBackendTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [];

    protected override ValueTask<IBackend> CreateAsync(long length) => ValueTask.FromResult<IBackend>(HugeMemoryBackend.Create(length));

    [Fact]
    public async Task OneByte_BringsItsHugePage_WhereTheSystemHasSome_AndNoOther()
    {
        await using var memory = HugeMemoryBackend.Create(4L * HugePage.Length);
        await memory.WriteAsync(HugePage.Length + 5, new byte[] { 1 });
        using var page = HugePage.TryCreate();
        Assert.Equal(page?.TryProvide() == true, IsHere(memory, (2 * HugePage.Length) - 1));
        Assert.True(IsHere(memory, HugePage.Length + 5));
        Assert.False(IsHere(memory, 0));
        Assert.False(IsHere(memory, 2 * HugePage.Length));
    }

    [Fact]
    public void MoreThanAProcessCanHave_IsAnError()
        => Assert.Throws<BackendException>(() => HugeMemoryBackend.Create(MemoryBackend.MaximumLength));

    // More goes through the cache than it may hold, both ways, so that slots change hands.
    [RequiresFact("userfault")]
    public async Task RegionOverASmallCache_HoldsWhatWasWritten_AndSoDoesItsRemote()
    {
        const int size = (8 << 20) + 777;
        byte[] bytes = new byte[size];
        new Random(size).NextBytes(bytes);
        using var directory = new TemporaryDirectory();
        var options = new RemoteMemoryOptions { ResidentLimit = 2 << 20, Managed = new ManagedMountOptions { CacheSizeLimit = 1 << 20 } };
        string uri = $"file:{directory["disk"]}?size={size}";
        await using (var region = await RemoteMemory.MapAsync(uri, options))
        {
            await region.CopyFromAsync(0, bytes);
            byte[] found = new byte[size];
            await region.CopyToAsync(0, found);
            Assert.Equal(bytes, found);
            await region.FlushAsync();
            Assert.True(region.Status.EvictedBytes > 0);
        }

        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["disk"]));
        await using var again = await RemoteMemory.MapAsync(uri, options);
        byte[] second = new byte[size];
        again.CopyTo(0, second);
        Assert.Equal(bytes, second);
    }

    private static unsafe bool IsHere(HugeMemoryBackend memory, long offset)
    {
        byte isHere = 0;
        nint page = (nint)(memory.Start + offset) & -Environment.SystemPageSize;
        Assert.Equal(0, Libc.ListResident(page, (nuint)Environment.SystemPageSize, &isHere));
        return (isHere & 1) != 0;
    }
}
