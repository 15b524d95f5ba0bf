using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// Writes again, after a loss, what was acknowledged and no flush had covered. What the server refuses is tried for as long as an outage may
/// last; then it counts as lost, flushes and reads of it say so, and the rest goes on. Used for one outage, one connection at a time.
/// </summary>
internal sealed class NbdReplay(NbdLink link)
{
    /// <summary>Pieces on the way at once.</summary>
    private const int Width = 16;

    private readonly NbdClientOptions _options = link.Options;
    private readonly LostRanges _givenUp = new();
    private long? _refusedSince;

    /// <summary>Writes all of it over <paramref name="connection"/>. False where that was lost, or is given up because it does not answer.</summary>
    /// <exception cref="OperationCanceledException">The token ended it, and the connection.</exception>
    public async Task<bool> RunAsync(ClientConnection connection, CancellationToken cancellationToken)
    {
        await using var ending = cancellationToken.UnsafeRegister(_ => connection.Break(LinkFailure.Closed(_options)), state: null);
        IReadOnlyList<ReplayPiece> left = [.. link.PlanReplay().Where(p => !_givenUp.Overlaps(p.Offset, p.Length))];
        var pause = NbdSupervisor.FirstDelay;
        while (true)
        {
            var (refused, cause) = await WriteAsync(connection, left);
            cancellationToken.ThrowIfCancellationRequested();
            if (cause is not null)
            {
                link.NoteOutage(
                    new BackendException(cause.Error, $"Writes that were not flushed cannot be written again: {cause.Message}", cause), isFinal: false);
            }

            if (refused.Count > 0 && IsOver())
            {
                link.NoteLost(refused, cause!);
                foreach (var piece in refused)
                    _givenUp.Add(piece.Offset, piece.Length);
                refused = [];
            }

            if (connection.IsLost)
                return false;
            if (refused.Count == 0)
                return true;
            await Task.Delay(pause, _options.Clock, cancellationToken);
            pause = NbdSupervisor.Longer(pause, _options);
            left = refused;
        }
    }

    private bool IsOver()
    {
        _refusedSince ??= _options.Clock.GetTimestamp();
        return _options.Clock.GetElapsedTime(_refusedSince.Value) >= _options.ReconnectTimeout;
    }

    /// <summary>Writes pieces; returns those that the server refused, or did not answer in time, and the last reason.</summary>
    private async Task<(List<ReplayPiece> Refused, BackendException? Cause)> WriteAsync(ClientConnection connection, IReadOnlyList<ReplayPiece> pieces)
    {
        var refused = new List<ReplayPiece>();
        BackendException? cause = null;
        var underway = new Queue<(ReplayPiece Piece, Task Task)>();
        int next = 0;
        while (next < pieces.Count || underway.Count > 0)
        {
            if (next < pieces.Count && underway.Count < Width && !connection.IsLost)
            {
                underway.Enqueue((pieces[next], SendAsync(connection, pieces[next])));
                next++;
                continue;
            }

            if (!underway.TryDequeue(out var oldest))
                break;
            try
            {
                await oldest.Task;
            }
            catch (BackendException error)
            {
                cause = error;
                if (error.Error == BackendError.TimedOut)
                    connection.Break(LinkFailure.Copy(error));
                else if (connection.IsLost)
                    continue;
                refused.Add(oldest.Piece);
            }
        }

        return (refused, cause);
    }

    private Task SendAsync(ClientConnection connection, ReplayPiece piece)
    {
        var request = link.Rent();
        if (piece.IsZero)
            request.Prepare(NbdCommand.WriteZeroes, piece.Write.KeepsAllocated ? NbdCommandFlags.NoHole : NbdCommandFlags.None, piece.Offset, piece.Length);
        else
            request.PrepareWrite(piece.Offset, piece.Data);
        if (!piece.IsZero)
            request.Kept = piece.Write;
        return link.RunOnAsync(connection, request).AsTask();
    }
}
