using Farspan.Linux.Fuse;
using Farspan.Linux.Fuse.Protocol;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>Signals to programs that wait, at moments that a mount would hardly ever see: the test reads the requests itself, one by one.</summary>
public sealed class FuseInterruptTests
{
    [RequiresFact("root", "fuse", "dd")]
    public async Task InterruptThatAnotherOpeningGives_BeforeItsRequestIsKnown_IsAskedForAgain()
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllBytesAsync(directory["disk"], []);
        var mounter = new DirectMounter();
        var target = MountTarget.Prepare(directory["disk"], mounter, NullLogger.Instance);
        using var device = new FuseDevice(mounter.Mount(target, new FuseMountOptions(), isReadOnly: false));
        try
        {
            using var first = device.TryOpenLookout();
            using var second = device.TryOpenLookout();
            using var flush = new HandRead(first!);
            using var interrupt = new HandRead(second!);
            var backend = new ScriptedBackend(1 << 20) { Flush = static token => new ValueTask(Task.Delay(Timeout.Infinite, token)) };
            var server = new FuseFileServer(backend, ServerRig.Settings, new FuseWriteLog(backend), _ => flush.IsReleased = true, NullLogger.Instance)
            {
                Interrupted = unique => flush.Request.TryInterrupt(unique),
                Openings = [device, first!, second!],
            };
            Assert.Equal(FuseOpcode.INIT, await flush.ReceiveAsync());
            flush.Handle(server);
            await using var user = PeerProcess.Start("dd", ["if=/dev/null", $"of={target.Path}", "count=0", "conv=notrunc,fsync"]);
            while (await flush.ReceiveAsync() != FuseOpcode.FSYNC)
                flush.Handle(server);

            await user.SignalAsync("KILL");
            Assert.Equal(FuseOpcode.INTERRUPT, await interrupt.ReceiveAsync());
            interrupt.Handle(server);
            Assert.Equal(FuseOpcode.INTERRUPT, await interrupt.ReceiveAsync());
            flush.Handle(server);
            interrupt.Handle(server);
            await Eventually.HoldsAsync(() => flush.IsReleased);
            await Eventually.HoldsAsync(() =>
            {
                if (interrupt.TryReceive())
                    interrupt.Handle(server);
                return user.HasExited;
            });
        }
        finally
        {
            mounter.TryUnmount(target.Path, isLazy: true);
        }
    }

    /// <summary>A request that is read through one opening when the test says so.</summary>
    private sealed class HandRead : IDisposable
    {
        private readonly FuseDevice _opening;
        private int _length;

        public HandRead(FuseDevice opening) => _opening = opening;

        public FuseRequest Request { get; } = new(1 << 20);

        /// <summary>Whether the server is done with a request that it had kept.</summary>
        public volatile bool IsReleased;

        public unsafe bool TryReceive()
        {
            _length = _opening.Receive(Request.Input, Request.InputCapacity);
            return _length > 0;
        }

        private FuseOpcode Opcode => (FuseOpcode)Request.Header.opcode;

        public async Task<FuseOpcode> ReceiveAsync()
        {
            await Eventually.HoldsAsync(TryReceive);
            return Opcode;
        }

        public void Handle(FuseFileServer server)
        {
            Request.Channel = _opening;
            server.Handle(Request, _length);
        }

        public void Dispose() => ((IDisposable)Request).Dispose();
    }
}
