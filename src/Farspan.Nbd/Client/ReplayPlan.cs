namespace Farspan.Nbd.Client;

/// <summary>
/// Turns writes in their order into pieces that do not overlap, each with the bytes that were written last: these can be written again in any
/// order and all at once.
/// </summary>
internal static class ReplayPlan
{
    /// <summary>The pieces, by offset. Neighbouring pieces stay apart, so that none is longer than the write it came from.</summary>
    public static List<ReplayPiece> Make(IReadOnlyList<UnflushedWrite> writes)
    {
        var starts = writes.OrderBy(w => w.Offset).ToArray();
        var pieces = new List<ReplayPiece>();

        // A sweep over the offsets. The heap holds the writes that have begun, the last one on top; those that have ended leave when they get there.
        var begun = new PriorityQueue<UnflushedWrite, long>();
        long position = 0;
        int next = 0;
        while (next < starts.Length || begun.Count > 0)
        {
            while (begun.TryPeek(out var top, out _) && top.Offset + top.Length <= position)
                begun.Dequeue();
            if (begun.Count == 0)
            {
                if (next == starts.Length)
                    break;
                position = starts[next].Offset;
            }

            for (; next < starts.Length && starts[next].Offset <= position; next++)
                begun.Enqueue(starts[next], -starts[next].Sequence);
            var last = begun.Peek();
            long end = last.Offset + last.Length;
            if (end <= position)
                continue;

            // The piece ends where a later write begins.
            int ahead = next;
            while (ahead < starts.Length && starts[ahead].Offset < end)
            {
                if (starts[ahead].Sequence > last.Sequence)
                {
                    end = starts[ahead].Offset;
                    break;
                }

                begun.Enqueue(starts[ahead], -starts[ahead].Sequence);
                ahead++;
            }

            next = ahead;
            pieces.Add(new ReplayPiece(last, position, end - position));
            position = end;
        }

        return pieces;
    }
}
