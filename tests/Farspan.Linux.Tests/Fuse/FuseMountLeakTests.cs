using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>What mounts leave behind in the process that served them: no other test may mount at the same time.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class FuseMountLeakTests
{
    [RequiresFact("root", "fuse", "head")]
    public async Task TwoHundredMounts_LeaveNothingBehind()
    {
        using var directory = new TemporaryDirectory();
        await using var backend = new MemoryBackend(1 << 20);
        for (int i = 0; i < 200; i++)
        {
            await using var mount = await FuseMount.MountAsync(backend, directory["disk"]);
            if (i % 20 == 0)
                Assert.Equal(new string('\0', 100), (await PeerProcess.RunOkAsync("head", ["-c", "100", mount.Path])).TrimEnd('\n'));
            if (i % 2 == 0)
                await mount.UnmountAsync();
        }

        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        Assert.Empty(FuseConnection.Mounts(directory.Path));
        // A thread is joined before its entry in /proc goes.
        await Eventually.HoldsAsync(() => !Threads().Any(name => name.StartsWith("fuse ", StringComparison.Ordinal)));
        Assert.DoesNotContain("/dev/fuse", OwnDescriptors.Targets());
    }

    private static IEnumerable<string> Threads()
        => Directory.GetDirectories("/proc/self/task").Select(t => File.Exists($"{t}/comm") ? ReadOrEmpty($"{t}/comm") : "");

    private static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
