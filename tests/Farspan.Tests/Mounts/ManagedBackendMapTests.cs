using Farspan.Backends;
using Farspan.Mounts;
using Xunit;

namespace Farspan.Tests.Mounts;

public sealed class ManagedBackendMapTests
{
    private const int Chunk = 4096;

    [Fact(Timeout = 120_000)]
    public async Task Maps_TellWhatIsLocal_AndWhatIsDirty()
    {
        var mount = await ManagedBackend.OpenAsync(
            new MemoryBackend(100 * Chunk),
            new ManagedMountOptions { ChunkSize = Chunk, BackgroundPull = BackgroundPull.Nothing, PushInterval = TimeSpan.FromDays(1) });
        await using (mount)
        {
            await mount.WriteAsync(10 * Chunk, new byte[] { 1, 2, 3 });
            await mount.WriteAsync(20 * Chunk, new byte[2 * Chunk]);
            var maps = mount.GetCapability<IStateMaps>()!;
            Assert.Equal(["local", "dirty"], maps.MapNames);
            StateRun[] dirty = [new(10 * Chunk, 3, 1), new(10 * Chunk + 3, 10 * Chunk - 3, 0), new(20 * Chunk, 2 * Chunk, 1), new(22 * Chunk, 78 * Chunk, 0)];
            Assert.Equal(dirty, await ListAsync(maps, "dirty", 10 * Chunk, 90 * Chunk, 100));
            Assert.Equal(dirty[..2], await ListAsync(maps, "dirty", 10 * Chunk, 90 * Chunk, 2));
            Assert.Contains(new StateRun(20 * Chunk, 2 * Chunk, 1), await ListAsync(maps, "local", 0, 100 * Chunk, 100));
            await mount.FlushAsync();
            Assert.Equal([new(0, 100 * Chunk, 0)], await ListAsync(maps, "dirty", 0, 100 * Chunk, 100));
            await Assert.ThrowsAsync<ArgumentException>(async () => await ListAsync(maps, "other", 0, 1, 1));
        }
    }

    private static async Task<List<StateRun>> ListAsync(IStateMaps maps, string name, long offset, long length, int limit)
    {
        var runs = new List<StateRun>();
        await maps.ListStatesAsync(name, offset, length, limit, runs);
        return runs;
    }
}
