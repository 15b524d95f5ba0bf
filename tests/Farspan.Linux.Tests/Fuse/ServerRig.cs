using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Linux.Fuse.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>A server without a kernel: requests are put together by hand, replies are kept.</summary>
internal sealed unsafe class ServerRig : IDisposable
{
    private ulong _unique = 100;

    public ServerRig(IBackend backend, Func<FuseFileSettings, FuseFileSettings>? change = null, Func<ulong, bool>? interrupted = null)
    {
        Request.Channel = Channel;
        Writes = new FuseWriteLog(backend);
        Server = new FuseFileServer(backend, change?.Invoke(Settings) ?? Settings, Writes, r => Released.Add(r), NullLogger.Instance)
        {
            Interrupted = interrupted,
        };
    }

    public static FuseFileSettings Settings { get; } = new()
    {
        IsReadOnly = false,
        Mode = 0x180,
        OwnerId = 7,
        GroupId = 8,
        MaximumRequestLength = 1 << 20,
        MaximumBackground = 48,
        UseWritebackCache = false,
        IgnoreOpenTruncation = true,
        Clock = TimeProvider.System,
    };

    public RecordingChannel Channel { get; } = new();

    public FuseWriteLog Writes { get; }

    public FuseFileServer Server { get; }

    public FuseRequest Request { get; } = new(1 << 20);

    public System.Collections.Concurrent.ConcurrentBag<FuseRequest> Released { get; } = [];

    public bool Send<T>(FuseOpcode opcode, in T body, ReadOnlySpan<byte> data = default, ulong nodeId = FuseProtocol.RootId, int threadId = 0)
        where T : unmanaged
    {
        *(T*)Request.Body = body;
        data.CopyTo(new Span<byte>(Request.Body + sizeof(T), data.Length));
        return Send(opcode, sizeof(T) + data.Length, nodeId, threadId);
    }

    public bool Send(FuseOpcode opcode, int bodyLength = 0, ulong nodeId = FuseProtocol.RootId, int threadId = 0)
    {
        Request.Header = new FuseInHeader
        {
            len = (uint)(sizeof(FuseInHeader) + bodyLength),
            opcode = (uint)opcode,
            unique = ++_unique,
            nodeid = nodeId,
            pid = (uint)threadId,
        };
        return Server.Handle(Request, sizeof(FuseInHeader) + bodyLength);
    }

    public void Dispose() => ((IDisposable)Request).Dispose();
}
