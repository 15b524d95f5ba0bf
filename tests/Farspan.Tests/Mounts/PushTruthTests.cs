using Farspan.Backends;
using Farspan.Mounts;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>What a mount takes for pushed where the remote restarts or the lease is lost. Simulated worlds find each of these too, among others.</summary>
public sealed class PushTruthTests
{
    private const int Chunk = 16 << 10;

    [Fact]
    public void AnsweredAndNotFlushed_IsSentAgain_WhenTheRemoteWasRestarted()
        => VirtualTime.Run(async clock =>
        {
            var remote = new ForgetfulRemote(4 * Chunk);
            await using var mount = await OpenAsync(remote, clock);
            await mount.FlushAsync();
            await mount.WriteAsync(5, new byte[] { 1, 2, 3 });
            remote.RestartsAtNextFlush = true;
            await mount.FlushAsync();
            Assert.False(remote.RestartsAtNextFlush);
            Assert.Equal([1, 2, 3], await StoredAsync(remote, 5, 3));
        });

    [Fact]
    public void ReplyFromBeforeARestart_IsNotBelieved()
        => VirtualTime.Run(async clock =>
        {
            var remote = new ForgetfulRemote(4 * Chunk);
            await using var mount = await OpenAsync(remote, clock);
            await mount.FlushAsync();

            // One push is answered, and the flush of it finds the restart; another was carried out before that, and its reply comes after.
            var late = remote.HoldReply(2 * Chunk);
            remote.RestartsAtNextFlush = true;
            await mount.WriteAsync(0, new byte[] { 1 });
            var first = mount.FlushAsync().AsTask();
            await mount.WriteAsync(2 * Chunk, new byte[] { 2 });
            var second = mount.FlushAsync().AsTask();
            await Task.Delay(TimeSpan.FromMilliseconds(20), clock);
            Assert.Equal(["flush", "write", "write", "flush"], remote.Calls.Take(4));
            late.SetResult();
            await Task.WhenAll(first, second);
            Assert.False(remote.RestartsAtNextFlush);
            Assert.Equal([1], await StoredAsync(remote, 0, 1));
            Assert.Equal([2], await StoredAsync(remote, 2 * Chunk, 1));
        });

    [Fact]
    public void NothingIsPulled_BeforeTheFirstFlush()
        => VirtualTime.Run(async clock =>
        {
            var remote = new ForgetfulRemote(4 * Chunk);
            await using var mount = await OpenAsync(remote, clock);
            await mount.ReadAsync(0, new byte[4 * Chunk]);
            Assert.Equal("flush", remote.Calls[0]);
            Assert.Contains("read", remote.Calls);
        });

    [Fact]
    public void LeaseThatWasLost_NothingIsSentAnyMore_ThoughTheRemoteWouldTakeIt()
        => VirtualTime.Run(async clock =>
        {
            var remote = new ForgetfulRemote(4 * Chunk);
            var mount = await OpenAsync(remote, clock);
            await mount.FlushAsync();
            await mount.WriteAsync(0, new byte[] { 1 });
            remote.LoseLease();
            await Task.Delay(TimeSpan.FromMinutes(5), clock);
            Assert.True(mount.Status.IsFenced);
            var report = await mount.CloseAsync();
            Assert.Equal(1, report.UnpushedBytes);
            Assert.DoesNotContain("write", remote.Calls);
        });

    private static ValueTask<ManagedBackend> OpenAsync(IBackend remote, TimeProvider clock)
        => ManagedBackend.OpenAsync(remote, new ManagedMountOptions { ChunkSize = Chunk, Clock = clock, BackgroundPull = BackgroundPull.Nothing });

    private static async Task<byte[]> StoredAsync(ForgetfulRemote remote, long offset, int length)
    {
        byte[] bytes = new byte[length];
        await remote.ReadAsync(offset, bytes);
        return bytes;
    }
}
