using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Tests.Client;

/// <summary>One request on the way, and what the parser did with its reply.</summary>
internal sealed class RecordingTarget : IReplyTarget
{
    private readonly ReplySlot _slot = new(0);
    private bool _isOpen = true;

    public RecordingTarget(ulong cookie, NbdCommand command, long offset, long length, int extentLimit = 0, string? mapName = null)
    {
        _slot.Begin(command, offset, length, extentLimit, mapName);
        _slot.Cookie = cookie;
        Buffer = new byte[command == NbdCommand.Read ? length : 0];
    }

    public byte[] Buffer { get; }

    /// <summary>Whether the caller gave up.</summary>
    public bool IsAbandoned { get; init; }

    /// <summary>Buffers lent and not given back.</summary>
    public int Borrowed { get; private set; }

    public List<ReplySlot> Finished { get; } = [];

    public ReplySlot? Find(ulong cookie) => _isOpen && cookie == _slot.Cookie ? _slot : null;

    public Memory<byte> Borrow(ReplySlot slot)
    {
        Borrowed++;
        return IsAbandoned ? default : Buffer;
    }

    public void GiveBack(ReplySlot slot) => Borrowed--;

    public void Finish(ReplySlot slot)
    {
        _isOpen = false;
        Finished.Add(slot);
    }
}
