using System.IO.Pipes;
using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Linux.Interop;
using Farspan.Mounts;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>Mounts that this process serves, and therefore never touches.</summary>
public sealed class FuseMountLifeTests
{
    [RequiresFact("root", "fuse")]
    public async Task UnmountAndDispose_FromManySides_HappenOnce()
    {
        using var directory = new TemporaryDirectory();
        await using var backend = new MemoryBackend(1 << 20);
        var mount = await FuseMount.MountAsync(backend, directory["disk"]);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(async () =>
        {
            if (i % 2 == 0)
                await mount.UnmountAsync();
            else
                await mount.DisposeAsync();
        })));
        await mount.Completion;
        await mount.UnmountAsync();
        await mount.DisposeAsync();
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    // The releases of the files meet the end of the connection, for which the kernel then has two error numbers.
    [RequiresFact("root", "fuse", "python3")]
    public async Task LastUserClosesManyFiles_AfterALazyUnmount_IsNoFault()
    {
        using var directory = new TemporaryDirectory();
        await using var backend = new MemoryBackend(1 << 20);
        const string script = """
            import ctypes, os, sys
            files = [os.open(sys.argv[1], os.O_RDONLY) for _ in range(500)]
            os._exit(ctypes.CDLL(None).umount2(sys.argv[1].encode(), 2))
            """;
        for (int i = 0; i < 12; i++)
        {
            await using var mount = await FuseMount.MountAsync(backend, directory["disk"], new FuseMountOptions { Threads = 8 });
            await PeerProcess.RunOkAsync("python3", ["-c", script, mount.Path]);
            await mount.Completion;
        }
    }

    // Each caller waits for the end, whoever was first, and nobody is told that all went well.
    [RequiresFact("root", "fuse", "dd")]
    public async Task UnmountFromTwoSides_WithAFailingFlush_TellsBoth_OnceTheMountHasEnded()
    {
        using var directory = new TemporaryDirectory();
        var flushing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var backend = new ScriptedBackend(1 << 20)
        {
            Flush = async _ =>
            {
                flushing.TrySetResult();
                await goOn.Task;
                throw new BackendException(BackendError.NoSpace, "as told");
            },
        };
        await using var mount = await FuseMount.MountAsync(backend, directory["disk"]);
        await PeerProcess.RunOkAsync("dd", ["if=/dev/zero", $"of={mount.Path}", "bs=4096", "count=1", "conv=notrunc", "status=none"]);
        var first = mount.UnmountAsync();
        await flushing.Task;
        var second = mount.UnmountAsync();
        // What the second finds unmounted already is no reason to return: it would do so before this does.
        await Assert.ThrowsAsync<TimeoutException>(() => Task.WhenAny(first, second, mount.Completion).WaitAsync(TimeSpan.FromSeconds(0.2)));
        goOn.SetResult();
        foreach (var unmounting in (Task[])[first, second, mount.UnmountAsync()])
            Assert.Equal("The last flush failed: as told", (await Assert.ThrowsAsync<BackendException>(() => unmounting)).Message);
    }

    [RequiresFact("root", "fuse")]
    public async Task TwoMountsUponEachOther_AreTakenDownInTurn()
    {
        using var directory = new TemporaryDirectory();
        await using var lower = new MemoryBackend(1 << 20);
        await using var upper = new MemoryBackend(2 << 20);
        await using var first = await FuseMount.MountAsync(lower, directory["disk"]);
        await using var second = await FuseMount.MountAsync(upper, directory["disk"]);
        Assert.Equal(2, FuseConnection.Mounts(directory.Path).Count);
        await second.UnmountAsync();
        Assert.Single(FuseConnection.Mounts(directory.Path));
        await first.UnmountAsync();
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    [Fact(Timeout = 30_000)]
    public async Task CancelledMount_MakesNothing()
    {
        using var directory = new TemporaryDirectory();
        await using var backend = new MemoryBackend(1 << 20);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => FuseMount.MountAsync(backend, directory["disk"], cancellationToken: new CancellationToken(canceled: true)));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    [Fact(Timeout = 60_000)]
    public async Task DeviceThatSendsNoise_EndsTheSession_AndSaysSo()
    {
        await using var pipe = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.None);
        await using var backend = new MemoryBackend(1 << 20);
        var reading = new SafeDescriptor((int)pipe.ClientSafePipeHandle.DangerousGetHandle());
        pipe.ClientSafePipeHandle.SetHandleAsInvalid();
        var options = new FuseMountOptions { Threads = 3 };
        var settings = new FuseFileSettings
        {
            IsReadOnly = false,
            Mode = 0x180,
            OwnerId = 0,
            GroupId = 0,
            MaximumRequestLength = 1 << 20,
            MaximumBackground = 4,
            UseWritebackCache = false,
            IgnoreOpenTruncation = false,
            Clock = TimeProvider.System,
        };
        var session = new FuseSession(reading, backend, settings, options, "noise");
        session.Start();
        await pipe.WriteAsync("this is no request at all, in as many bytes as one header has"u8.ToArray());
        await session.ReadersEnded;
        var error = await Assert.ThrowsAsync<MountException>(session.FinishAsync);
        Assert.Contains("A thread that serves the mount failed", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Stop_EndsThreadsThatWaitInTheKernel()
    {
        await using var pipe = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.None);
        await using var backend = new MemoryBackend(1 << 20);
        using var device = new FuseDevice(new SafeDescriptor((int)pipe.ClientSafePipeHandle.DangerousGetHandle()));
        pipe.ClientSafePipeHandle.SetHandleAsInvalid();
        using var pool = new FuseRequestPool(4, 1 << 20);
        using var rig = new ServerRig(backend);
        var ended = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var reader = new FuseReader(device, lookout: null, rig.Server, pool, ended.SetResult, "reader");
        reader.Start();
        Assert.False(ended.Task.IsCompleted);
        reader.BeginStop();
        await Task.Run(() =>
        {
            while (!reader.TryEnd(TimeSpan.FromMilliseconds(1)))
            {
            }
        });
        Assert.Null(await ended.Task);
    }
}
