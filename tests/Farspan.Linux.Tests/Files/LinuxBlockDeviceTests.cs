using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Files;

/// <summary>Block devices as files, on loop devices.</summary>
public sealed class LinuxBlockDeviceTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [RequiresFact("loop", "losetup")]
    public async Task BlockDevice_MatchesTheModel()
    {
        foreach (bool direct in new[] { false, true })
        {
            await using var loop = await LoopDevice.AttachAsync(_directory[$"direct {direct}"], 3 << 20);
            await using var backend = LinuxFileBackend.Open(loop.Path, new FileBackendOptions { Direct = direct });
            int alignment = backend.BlockSizes.Minimum;
            Assert.Equal(direct ? 512 : 1, alignment);
            Assert.Equal(3 << 20, backend.Length);
            Assert.Null(backend.GetCapability<IExtentSource>());
            var runner = new BackendModelRunner(backend, seed: 1, alignment);
            await runner.RunAsync(300);
            await runner.RunConcurrentAsync(workers: 8, stepsEach: 60);
        }
    }

    [RequiresFact("loop", "losetup")]
    public async Task Trim_ReachesTheDevice()
    {
        await using var loop = await LoopDevice.AttachAsync(_directory["image"], 4 << 20);
        await using var backend = LinuxFileBackend.Open(loop.Path);
        await backend.WriteAsync(0, BackendModel.Bytes(2, 4 << 20));
        await backend.FlushAsync();
        Assert.NotEqual("0", (await PeerProcess.RunOkAsync("stat", ["-c", "%b", _directory["image"]])).Trim());
        await backend.TrimAsync(0, 4 << 20);
        await backend.FlushAsync();
        Assert.Equal("0", (await PeerProcess.RunOkAsync("stat", ["-c", "%b", _directory["image"]])).Trim());
    }

    [RequiresFact("loop", "losetup")]
    public async Task ReadOnlyDevice_IsOpenedReadOnly()
    {
        await using var loop = await LoopDevice.AttachAsync(_directory["image"], 1 << 20, readOnly: true);
        await using var backend = LinuxFileBackend.Open(loop.Path);
        Assert.True(backend.IsReadOnly);
        await backend.ReadAsync(0, new byte[4096]);
    }

    [RequiresFact("loop", "losetup", "mkfs.ext4", "mount")]
    public async Task MountedDevice_IsRefused()
    {
        await using var loop = await LoopDevice.AttachAsync(_directory["image"], 8 << 20);
        await PeerProcess.RunOkAsync("mkfs.ext4", ["-q", loop.Path]);
        Directory.CreateDirectory(_directory["mounted"]);
        await PeerProcess.RunOkAsync("mount", [loop.Path, _directory["mounted"]]);
        try
        {
            var error = Assert.Throws<BackendException>(() => LinuxFileBackend.Open(loop.Path));
            Assert.Equal(BackendError.AccessDenied, error.Error);
            Assert.Contains("mounted", error.Message, StringComparison.Ordinal);
        }
        finally
        {
            await PeerProcess.RunOkAsync("umount", [_directory["mounted"]]);
        }
    }

    [RequiresFact("loop", "losetup")]
    public async Task OtherLength_IsRefused()
    {
        await using var loop = await LoopDevice.AttachAsync(_directory["image"], 1 << 20);
        var error = Assert.Throws<BackendException>(() => LinuxFileBackend.Open(loop.Path, new FileBackendOptions { Length = 2 << 20 }));
        Assert.Equal(BackendError.Invalid, error.Error);
    }

    [RequiresFact("loop", "losetup", "mount")]
    public async Task FailedFlush_FailsAllLaterOnes()
    {
        // The device's file lies on a file system that is too small for it: what was taken into the page cache cannot be written.
        Directory.CreateDirectory(_directory["small"]);
        await PeerProcess.RunOkAsync("mount", ["-t", "tmpfs", "-o", "size=1M", "none", _directory["small"]]);
        try
        {
            await using var loop = await LoopDevice.AttachAsync(_directory["small/image"], 16 << 20);
            await using var backend = LinuxFileBackend.Open(loop.Path);
            await backend.FlushAsync();
            await backend.WriteAsync(0, BackendModel.Bytes(3, 8 << 20));
            var first = await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
            var second = await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
            Assert.Equal(first.Error, second.Error);
            Assert.Contains("earlier flush", second.Message, StringComparison.Ordinal);
            Assert.False(second.IsTransient);
        }
        finally
        {
            await PeerProcess.RunOkAsync("umount", [_directory["small"]]);
        }
    }

    [RequiresFact("root", "mount")]
    public async Task FullFileSystem_IsNoSpace_AndTheBackendGoesOn()
    {
        Directory.CreateDirectory(_directory["small"]);
        await PeerProcess.RunOkAsync("mount", ["-t", "tmpfs", "-o", "size=1M", "none", _directory["small"]]);
        try
        {
            await using var backend = LinuxFileBackend.Open(_directory["small/a"], new FileBackendOptions { Length = 16 << 20 });
            byte[] data = BackendModel.Bytes(4, 512 << 10);
            await backend.WriteAsync(0, data);
            var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.WriteAsync(1 << 20, new byte[2 << 20]));
            Assert.Equal(BackendError.NoSpace, error.Error);
            error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ZeroAsync(4 << 20, 4 << 20, ZeroMode.KeepAllocated));
            Assert.Equal(BackendError.NoSpace, error.Error);
            byte[] buffer = new byte[data.Length];
            await backend.ReadAsync(0, buffer);
            Assert.Equal(data, buffer);
            await backend.TrimAsync(1 << 20, 8 << 20);
            await backend.WriteAsync(4 << 20, data.AsMemory(0, 100_000));
        }
        finally
        {
            await PeerProcess.RunOkAsync("umount", [_directory["small"]]);
        }
    }
}
