using Farspan.Backends;

namespace Farspan.Migration;

/// <summary>Where the bytes of a region come from: its seeder, and after the hand-over what stands behind the region, if the seeder does not answer. Thread-safe.</summary>
internal sealed class CopySource(ISeeder seeder, CopyRules rules, PullWindow window, LeecherOptions options, CancellationToken closing)
{
    private long _seederRestsUntil;

    /// <summary>Fills the buffer.</summary>
    /// <returns>False where the seeder refuses.</returns>
    /// <exception cref="BackendException">Nothing has come.</exception>
    public async ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer)
    {
        if (!rules.IsUsed || options.Behind is not { } behind)
            return await ReadFromSeederAsync(request, offset, buffer);

        // What is missing is the same in both. A seeder that has just failed is not waited for.
        if (options.Clock.GetTimestamp() >= Volatile.Read(ref _seederRestsUntil))
        {
            try
            {
                return await ReadFromSeederAsync(request, offset, buffer);
            }
            catch (BackendException failure) when (failure.IsTransient && !closing.IsCancellationRequested)
            {
                long rest = (long)(options.RetryDelay.TotalSeconds * 10 * options.Clock.TimestampFrequency);
                Volatile.Write(ref _seederRestsUntil, options.Clock.GetTimestamp() + rest);
            }
        }

        return await Patience.RunAsync(
            async token =>
            {
                await behind.Store.ReadAsync(offset, buffer, token);
                return true;
            },
            options.RequestTimeout, options.Clock, closing);
    }

    private async ValueTask<bool> ReadFromSeederAsync(SeederRequest request, long offset, Memory<byte> buffer)
    {
        var ticket = window.Begin(buffer.Length);
        bool isDelivered = false;
        try
        {
            return isDelivered = await Patience.RunAsync(
                token => seeder.ReadAsync(request, offset, buffer, token), options.RequestTimeout, options.Clock, closing);
        }
        finally
        {
            window.End(ticket, isDelivered);
        }
    }
}
