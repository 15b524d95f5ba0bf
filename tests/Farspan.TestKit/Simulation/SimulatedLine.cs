using Farspan.Backends;

namespace Farspan.TestKit.Simulation;

/// <summary>The line of one host to a server: it takes time, loses requests and replies, and can be cut. One thread.</summary>
internal sealed class SimulatedLine(TimeProvider clock, Random random)
{
    /// <summary>How often a request or a reply is lost, from 0 to 1.</summary>
    public double Losses { get; set; }

    /// <summary>How often a request arrives late, by up to three times what <see cref="LongestWait"/> says.</summary>
    public double Late { get; set; }

    public bool IsCut { get; set; }

    public TimeSpan LongestWait { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Calls that have not ended.</summary>
    public int Running { get; private set; }

    /// <summary>Carries a request to the server and its reply back.</summary>
    public async ValueTask CallAsync(Func<ValueTask> atServer, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Running++;
        try
        {
            // What has left arrives, however late, though nobody may wait for it any more.
            await TravelAsync();
            if (random.NextDouble() < Late)
                await Task.Delay(LongestWait * 3 * random.NextDouble(), clock, CancellationToken.None);
            ThrowIfLost("request");
            await atServer();
            await TravelAsync();
            ThrowIfLost("reply");
        }
        finally
        {
            Running--;
        }
    }

    private Task TravelAsync() => Task.Delay(TimeSpan.FromMilliseconds(random.Next(0, 20)), clock, CancellationToken.None);

    private void ThrowIfLost(string what)
    {
        if (IsCut || random.NextDouble() < Losses)
            throw new BackendException(BackendError.Disconnected, $"The {what} was lost.");
    }
}
