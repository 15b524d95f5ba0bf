using Farspan.Backends;

namespace Farspan.Nbd.Client;

/// <summary>Flushes when the room for unflushed writes runs short.</summary>
internal sealed class RoomKeeper(NbdLink link)
{
    /// <summary>Runs until the token ends it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await link.RoomWanted.ReadAsync(cancellationToken);
            var pause = NbdSupervisor.FirstDelay;
            while (link.NeedsRoom)
            {
                var failure = await FlushAsync();
                link.NoteRoomFlush(failure);
                if (failure is null)
                    continue;
                await Task.Delay(pause, link.Options.Clock, cancellationToken);
                pause = NbdSupervisor.Longer(pause, link.Options);
            }
        }
    }

    private async Task<BackendException?> FlushAsync()
    {
        try
        {
            await link.FlushAsync(isForRoom: true, CancellationToken.None);
            return null;
        }
        catch (BackendException error)
        {
            return error;
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }
}
