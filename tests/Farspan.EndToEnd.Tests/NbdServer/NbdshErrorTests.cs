using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdServer;

/// <summary>Every error that a backend of ours can have, as libnbd sees it; after each the connection goes on.</summary>
public sealed class NbdshErrorTests
{
    [RequiresFact("nbdsh")]
    public async Task EveryErrorOfABackend_IsAnErrno()
    {
        (BackendError Error, string Errno)[] errors =
        [
            (BackendError.InputOutput, "EIO"), (BackendError.NoSpace, "ENOSPC"), (BackendError.ReadOnly, "EPERM"), (BackendError.AccessDenied, "EPERM"),
            (BackendError.NoMemory, "ENOMEM"), (BackendError.NotSupported, "ENOTSUP"), (BackendError.Invalid, "EINVAL"), (BackendError.TimedOut, "EIO"),
            (BackendError.Disconnected, "EIO"), (BackendError.ShuttingDown, "ESHUTDOWN"), (BackendError.Corrupt, "EIO"),
        ];
        await using var server = RunningServer.Start(new FailingBackend([.. errors.Select(e => e.Error)]));
        const string Script = """
            import nbd, sys
            h = nbd.NBD()
            h.connect_uri(sys.argv[1])
            def tell(call):
                try:
                    call()
                    return "ok"
                except nbd.Error as error:
                    return error.errno
            for i in range(int(sys.argv[2])):
                print(tell(lambda: h.pread(512, i * 512)), tell(lambda: h.pwrite(bytes(512), i * 512)), tell(lambda: h.zero(512, i * 512)))
            print(tell(lambda: h.pread(512, h.get_size() - 512)))
            """;
        string said = await PeerProcess.RunOkAsync("/usr/bin/python3", ["-c", Script, server.Uri, $"{errors.Length}"]);
        Assert.Equal([.. errors.Select(e => $"{e.Errno} {e.Errno} {e.Errno}"), "ok", ""], said.Split('\n'));
    }

    /// <summary>CVE-2022-0485 from the server's side: a read that failed must reach a copying program as a failure, wherever it is in the disk.</summary>
    [RequiresFact("nbdcopy", "qemu-img")]
    public async Task Cve20220485_CopyOfADiskWithABadSector_Fails()
    {
        await using var server = RunningServer.Start(new FailingBackend([BackendError.Corrupt]));
        await using var copy = await PeerProcess.RunAsync("nbdcopy", [server.Uri, server.Directory["copy"]]);
        Assert.True(copy.ExitCode != 0, copy.Report);
        await using var convert = await PeerProcess.RunAsync("qemu-img", ["convert", "-f", "raw", "-O", "raw", server.Uri, server.Directory["converted"]]);
        Assert.True(convert.ExitCode != 0, convert.Report);
    }

    /// <summary>Memory of which each sector has an error of its own, up to as many as there are.</summary>
    private sealed class FailingBackend(BackendError[] errors) : IBackend
    {
        public long Length => 64 << 10;

        public bool IsReadOnly => false;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            buffer.Span.Clear();
            return AtAsync(offset);
        }

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => AtAsync(offset);

        public ValueTask FlushAsync(CancellationToken cancellationToken = default) => default;

        public TCapability? GetCapability<TCapability>()
            where TCapability : class
            => null;

        public ValueTask DisposeAsync() => default;

        private ValueTask AtAsync(long offset)
            => offset / 512 < errors.Length ? throw new BackendException(errors[offset / 512], "as asked") : default;
    }
}
