using Farspan.Backends;

namespace Farspan.Nbd.Client;

/// <content>What takes too long.</content>
internal sealed partial class NbdLink
{
    private readonly List<NbdRequest> _watched = [];

    /// <summary>Looks for what takes too long. Called by a timer.</summary>
    public void Watch()
    {
        List<ClientConnection> silent = [];
        lock (Gate)
        {
            long now = _options.Clock.GetTimestamp();
            if (!_isUp && !_isOutageOver && !_isVoluntary && now - _downSince >= Ticks(_options.ReconnectTimeout))
                EndOutage();
            WatchQueue(_waiting, now);
            foreach (var connection in _connections)
                WatchConnection(connection, now, silent);
            foreach (var connection in _others)
                WatchConnection(connection, now, silent);
        }

        foreach (var connection in silent)
            connection.Break(LinkFailure.Silent(_options));
    }

    private void WatchConnection(ClientConnection connection, long now, List<ClientConnection> silent)
    {
        WatchQueue(connection.Waiting, now);
        connection.CopyRequestsTo(_watched);
        foreach (var request in _watched)
        {
            if (now > request.Deadline)
                GiveUp(request, LinkFailure.TimedOut(_options, request));
        }

        _watched.Clear();
        if (connection.IsSilent(now, Ticks(_options.RequestTimeout)))
            silent.Add(connection);
    }

    private void WatchQueue(RequestQueue queue, long now)
    {
        NbdRequest? next;
        for (var request = queue.First; request is not null; request = next)
        {
            next = request.Next;
            if (now > request.Deadline)
                GiveUp(request, _isUp ? LinkFailure.TimedOut(_options, request) : NoConnection());
        }
    }
}
