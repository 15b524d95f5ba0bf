using System.Runtime.InteropServices;
using Farspan.Linux.Fuse;
using Farspan.Linux.Fuse.Protocol;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>Keeps the replies.</summary>
internal sealed unsafe class RecordingChannel : IFuseChannel
{
    private readonly List<byte[]> _replies = [];

    public bool IsDeaf { get; set; }

    public int Count
    {
        get
        {
            lock (_replies)
                return _replies.Count;
        }
    }

    public byte[] Last
    {
        get
        {
            lock (_replies)
                return _replies[^1];
        }
    }

    public FuseOutHeader LastHeader => MemoryMarshal.Read<FuseOutHeader>(Last);

    public Errno LastError => (Errno)(-LastHeader.error);

    public byte[] LastPayload => Last[sizeof(FuseOutHeader)..];

    public T LastStruct<T>()
        where T : unmanaged
        => MemoryMarshal.Read<T>(LastPayload);

    public Errno Send(byte* start, int length)
    {
        if (!IsDeaf)
            Keep(new ReadOnlySpan<byte>(start, length).ToArray());
        return Errno.Ok;
    }

    public Errno SendVector(IoVector* vectors, int count)
    {
        if (IsDeaf)
            return Errno.Ok;
        var whole = new List<byte>();
        for (int i = 0; i < count; i++)
            whole.AddRange(new ReadOnlySpan<byte>(vectors[i].Start, (int)vectors[i].Length));
        Keep([.. whole]);
        return Errno.Ok;
    }

    private void Keep(byte[] reply)
    {
        lock (_replies)
            _replies.Add(reply);
    }
}
