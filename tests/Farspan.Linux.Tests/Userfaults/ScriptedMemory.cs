using Farspan.Linux.Userfaults;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>
/// Memory that once lists a page as written that is not any more, as it is where a list grows old while others drop chunks; that stands still when it
/// has just dropped or copied some; and that is being rearranged as often as it is told to be.
/// </summary>
internal sealed class ScriptedMemory(AnonymousMemory inner) : RegionMemory(inner.Faults, inner.Address, inner.Length, isProtectedWhenFilled: true)
{
    /// <summary>What is listed alone, to the next who lists more than that.</summary>
    public PageSpan? Stale { get; set; }

    /// <summary>Is called once, when pages have been dropped and nobody knows yet.</summary>
    public Action? Dropped { get; set; }

    /// <summary>Is called once, when what is to be saved has just been copied.</summary>
    public Action? Copied { get; set; }

    /// <summary>How often zeroes cannot be put yet.</summary>
    public int Rearranged { get; set; }

    public override bool TracksWrites => inner.TracksWrites;

    public override bool IsHere(long offset) => inner.IsHere(offset);

    public override void AllowWrites(long offset, long end) => inner.AllowWrites(offset, end);

    public override int ListWritten(long offset, long length, Span<PageSpan> written, out long end)
    {
        if (Stale is not { } stale || written.Length == 1 || stale.Offset < offset || stale.Offset >= offset + length)
            return inner.ListWritten(offset, length, written, out end);
        Stale = null;
        written[0] = stale;
        end = offset + length;
        return 1;
    }

    public override int TakeWritten(long offset, long length, Span<PageSpan> written, out long end) => inner.TakeWritten(offset, length, written, out end);

    public override unsafe void CopyOut(long offset, byte* destination, long length)
    {
        inner.CopyOut(offset, destination, length);
        var copied = Copied;
        Copied = null;
        copied?.Invoke();
    }

    public override FillOutcome FillZero(long offset, long length)
    {
        if (Rearranged == 0)
            return inner.FillZero(offset, length);
        Rearranged--;
        return FillOutcome.TryAgain;
    }

    public override bool TryDrop(long offset, long length)
    {
        bool isDropped = inner.TryDrop(offset, length);
        if (isDropped && Dropped is { } dropped)
        {
            Dropped = null;
            dropped();
        }

        return isDropped;
    }

    public override void Drop(long offset, long length) => inner.Drop(offset, length);

    public override void GiveUp() => inner.GiveUp();

    public override void Dispose()
    {
        base.Dispose();
        inner.Dispose();
    }
}
