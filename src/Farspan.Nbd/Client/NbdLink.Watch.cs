namespace Farspan.Nbd.Client;

/// <content>What takes too long.</content>
internal sealed partial class NbdLink
{
    /// <summary>How long a caller who gave up waits for his buffer to be out of use before the connection is given up for it.</summary>
    private static readonly TimeSpan LeavingTime = TimeSpan.FromSeconds(1);

    private readonly List<NbdRequest> _leaving = [];
    private readonly List<NbdRequest> _watched = [];

    /// <summary>Looks for what takes too long. Called by a timer.</summary>
    public void Watch()
    {
        List<ClientConnection> stuck = [];
        List<(NbdRequest Request, bool IsSent)> late = [];
        List<ClientConnection> pump = [];
        bool isUp;
        lock (Gate)
        {
            long now = _options.Clock.GetTimestamp();
            isUp = _isUp;
            if (!_isUp && !_isOutageOver && !_isVoluntary && now - _downSince >= Ticks(_options.ReconnectTimeout))
                EndOutage();
            foreach (var request in _leaving)
            {
                if (now > request.Deadline && request.Connection is not null)
                    stuck.Add(request.Connection);
            }

            for (var request = _waiting.First; request is not null; request = request.Next)
            {
                if (now > request.Deadline)
                    late.Add((request, false));
            }

            foreach (var connection in _connections)
                WatchConnection(connection, now, late, stuck);
            foreach (var connection in _others)
                WatchConnection(connection, now, late, stuck);
            foreach (var connection in _connections)
            {
                // A request that came back late from a lost connection may wait though there is room.
                if (Dispatch(connection))
                    pump.Add(connection);
            }
        }

        foreach (var (request, isSent) in late)
            Abandon(request, isSent || isUp ? LinkFailure.TimedOut(_options, request) : NoConnection());
        foreach (var connection in stuck)
            connection.Abort();
        foreach (var connection in pump)
            connection.Pump();
    }

    private void WatchConnection(
        ClientConnection connection, long now, List<(NbdRequest Request, bool IsSent)> late, List<ClientConnection> stuck)
    {
        // Answers that never come would use up all places in the end.
        if (connection.AbandonedCount > _options.RequestsPerConnection / 2)
            stuck.Add(connection);
        connection.CopyRequestsTo(_watched);
        foreach (var request in _watched)
        {
            if (now <= request.Deadline)
                continue;
            late.Add((request, true));

            // Nothing at all came since the request was sent: not a slow request, but a dead peer.
            if (connection.Arrivals == request.ArrivalsBefore)
                stuck.Add(connection);
        }

        _watched.Clear();
    }
}
