using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// One place for a request on the way in a connection, and what came of its reply so far. It outlives a caller who gave up: then
/// <see cref="Request"/> is null and the rest of the reply is read past. What is above the line belongs to the link's gate, the others to the
/// reader thread from <see cref="Begin"/> on.
/// </summary>
internal sealed class ReplySlot(int index)
{
    private readonly List<Extent> _extents = [];

    public int Index { get; } = index;

    /// <summary>Number of the use of this slot in the upper bits, its index in the lowest ten; what the server sends back.</summary>
    public ulong Cookie { get; set; }

    public bool IsActive { get; set; }

    /// <summary>Whether the request was handed to the sender: before, no reply can belong to it.</summary>
    public bool IsOnWire { get; set; }

    /// <summary>Who waits, or null where the caller gave up.</summary>
    public NbdRequest? Request { get; set; }

    /// <summary>What the request counts against the room for sending without waiting.</summary>
    public int SendCost { get; set; }

    // ----

    public NbdCommand Command { get; private set; }

    public long Offset { get; private set; }

    public long Length { get; private set; }

    public ReadCoverage Coverage { get; } = new();

    /// <summary>Whether a chunk of a structured reply came.</summary>
    public bool HasChunk { get; set; }

    /// <summary>Whether the status that was asked for came.</summary>
    public bool HasStatus { get; set; }

    /// <summary>Whose status came, a bit for each context: allocation, then the maps of states.</summary>
    public ulong ToldContexts { get; set; }

    /// <summary>The map of states that was asked for, whose flags then stand for the kinds of <see cref="Extents"/>; null for allocation.</summary>
    public string? MapName { get; private set; }

    /// <summary>The first error that the reply told; Ok where none.</summary>
    public NbdErrno Error { get; private set; }

    public string ErrorText { get; private set; } = "";

    public IReadOnlyList<Extent> Extents => _extents;

    public int ExtentLimit { get; private set; }

    /// <summary>Makes the slot ready for the reply to a request.</summary>
    public void Begin(NbdCommand command, long offset, long length, int extentLimit, string? mapName = null)
    {
        Command = command;
        Offset = offset;
        Length = length;
        ExtentLimit = extentLimit;
        Coverage.Reset(command == NbdCommand.Read ? length : 0);
        HasChunk = false;
        HasStatus = false;
        ToldContexts = 0;
        MapName = mapName;
        Error = NbdErrno.Ok;
        ErrorText = "";
        _extents.Clear();
    }

    /// <summary>Keeps the first error of a reply.</summary>
    public void Fail(NbdErrno error, string text)
    {
        if (Error != NbdErrno.Ok)
            return;
        Error = error;
        ErrorText = text;
    }

    /// <summary>Appends an extent, joined to the last one where the kind is the same; extents beyond the limit are left out.</summary>
    public void AddExtent(long offset, long length, ExtentKind kind)
    {
        if (_extents.Count > 0 && _extents[^1].Kind == kind && _extents[^1].Offset + _extents[^1].Length == offset)
            _extents[^1] = _extents[^1] with { Length = _extents[^1].Length + length };
        else if (_extents.Count < ExtentLimit)
            _extents.Add(new Extent(offset, length, kind));
    }
}
