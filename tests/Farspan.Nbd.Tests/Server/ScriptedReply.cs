using System.Buffers.Binary;
using System.Text;
using Farspan.Nbd.Protocol;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>A reply as it came, checked against the protocol's rules while it is put together.</summary>
internal sealed class ScriptedReply
{
    private readonly List<(ulong Offset, byte[]? Bytes, uint Length)> _content = [];

    public ulong Cookie { get; private set; }

    public ulong Offset { get; private set; }

    public NbdErrno Error { get; private set; }

    public string Message { get; private set; } = "";

    public ulong? ErrorOffset { get; private set; }

    public bool IsDone { get; private set; }

    public int ChunkCount { get; private set; }

    public int HoleCount => _content.Count(c => c.Bytes is null);

    public int DataCount => _content.Count(c => c.Bytes is not null);

    public List<(ulong Length, ulong Flags)> Extents { get; } = [];

    /// <summary>The ids of the contexts that it tells of, in its order, and what it tells of each.</summary>
    public List<(uint Context, List<(ulong Length, ulong Flags)> Runs)> Contexts { get; } = [];

    public void Add(SimpleReplyHeader header, byte[] data)
    {
        Cookie = header.Cookie;
        Error = header.Error;
        IsDone = true;
        _content.Add((ulong.MaxValue, data, (uint)data.Length));
    }

    public void Add(ChunkHeader header, byte[] payload, bool extended)
    {
        if (ChunkCount++ > 0)
            Assert.Equal(Cookie, header.Cookie);
        Cookie = header.Cookie;
        Offset = header.Offset;
        IsDone = header.IsDone;
        switch (header.Type)
        {
            case NbdChunkType.None:
                Assert.True(header.IsDone);
                Assert.Empty(payload);
                break;
            case NbdChunkType.OffsetData:
                Assert.True(payload.Length >= 9);
                AddContent(BinaryPrimitives.ReadUInt64BigEndian(payload), payload[8..], (uint)payload.Length - 8);
                break;
            case NbdChunkType.OffsetHole:
                Assert.True(HoleChunk.TryRead(payload, out var hole));
                AddContent(hole.Offset, null, hole.Length);
                break;
            case NbdChunkType.BlockStatus or NbdChunkType.BlockStatusExtended:
                Assert.Equal(extended, header.Type == NbdChunkType.BlockStatusExtended);
                Assert.True(BlockStatusChunk.TryRead(payload, extended, out var status));
                Contexts.Add((status.ContextId, []));
                for (int i = 0; i < status.Count; i++)
                {
                    Extents.Add(status[i]);
                    Contexts[^1].Runs.Add(status[i]);
                }

                break;
            default:
                Assert.True(header.IsError, $"chunk type {header.Type}");
                bool hasOffset = header.Type == NbdChunkType.ErrorOffset;
                Assert.True(ErrorChunk.TryRead(payload, hasOffset, out var error));
                Error = error.Error;
                Message = Encoding.UTF8.GetString(error.Message);
                ErrorOffset = hasOffset ? error.Offset : null;
                break;
        }
    }

    /// <summary>The bytes of a read, holes filled in; all of them must have come where there was no error.</summary>
    public byte[] Data(ulong offset, int length)
    {
        byte[] data = new byte[length];
        int covered = 0;
        foreach (var (at, bytes, count) in _content)
        {
            int start = at == ulong.MaxValue ? 0 : checked((int)(at - offset));
            Assert.InRange(start + (int)count, 0, length);
            bytes?.CopyTo(data, start);
            covered += (int)count;
        }

        if (Error == NbdErrno.Ok)
            Assert.Equal(length, covered);
        return data;
    }

    private void AddContent(ulong offset, byte[]? bytes, uint length)
    {
        foreach (var (at, _, count) in _content)
            Assert.False(offset < at + count && at < offset + length, "chunks overlap");
        _content.Add((offset, bytes, length));
    }
}
