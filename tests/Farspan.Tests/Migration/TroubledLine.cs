using Farspan.Backends;
using Farspan.Migration;
using Farspan.TestKit.Simulation;

namespace Farspan.Tests.Migration;

/// <summary>
/// A line to whatever seeder runs at the moment: calls take their time, are lost on the way there or back, come twice, and those to a host that is down
/// are never answered.
/// </summary>
internal sealed class TroubledLine(Random random, TimeProvider clock, Func<ISeeder?> seeder, SeederDescription description) : ISeeder
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    public SeederDescription Description => description;

    /// <summary>Of how many calls one goes wrong.</summary>
    public int TroubleEvery { get; set; } = 8;

    public ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
        => CallAsync(far => far.AskAsync(request, CancellationToken.None));

    public async ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        byte[] bytes = new byte[buffer.Length];
        bool isRead = await CallAsync(far => far.ReadAsync(request, offset, bytes, CancellationToken.None));
        bytes.CopyTo(buffer);
        return isRead;
    }

    public async ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
    {
        byte[] bytes = new byte[digests.Length];
        bool isRead = await CallAsync(far => far.DigestAsync(request, firstChunk, bytes, CancellationToken.None));
        bytes.CopyTo(digests);
        return isRead;
    }

    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
        => CallAsync(far => far.ListAsync(request, firstChunk, limit, CancellationToken.None));

    private async ValueTask<T> CallAsync<T>(Func<ISeeder, ValueTask<T>> call)
    {
        var reply = TravelAsync(call);
        if (await Task.WhenAny(reply, Task.Delay(Patience, clock)) != reply)
            throw new BackendException(BackendError.TimedOut, "No reply came.");
        return await reply;
    }

    private async Task<T> TravelAsync<T>(Func<ISeeder, ValueTask<T>> call)
    {
        await DelayAsync();
        bool isTroubled = random.Next(TroubleEvery) == 0;
        int trouble = isTroubled ? random.Next(3) : -1;
        if (trouble == 0 || seeder() is not { } far)
            throw new BackendException(BackendError.Disconnected, "The request was lost.");
        if (trouble == 1)
            _ = LateAsync(call);
        T reply;
        try
        {
            reply = await call(far);
        }
        catch (SimulatedCrashException)
        {
            throw new BackendException(BackendError.Disconnected, "The host went down.");
        }

        // Whatever a host works out after its end it tells nobody.
        if (seeder() != far)
            throw new BackendException(BackendError.Disconnected, "The host went down.");
        await DelayAsync();
        return trouble == 2 ? throw new BackendException(BackendError.Disconnected, "The reply was lost.") : reply;
    }

    // The same request once more, later, to whoever is there then. Nobody hears the reply.
    private async Task LateAsync<T>(Func<ISeeder, ValueTask<T>> call)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(random.Next(20_000)), clock);
        if (seeder() is not { } far)
            return;
        try
        {
            await call(far);
        }
        catch (BackendException)
        {
            // Nobody asks.
        }
        catch (SimulatedCrashException)
        {
            // Nor then.
        }
    }

    private Task DelayAsync() => Task.Delay(TimeSpan.FromMilliseconds(random.Next(8) == 0 ? random.Next(3000) : random.Next(1, 30)), clock);
}
