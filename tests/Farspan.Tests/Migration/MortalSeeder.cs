using Farspan.Migration;
using Farspan.TestKit.Simulation;

namespace Farspan.Tests.Migration;

/// <summary>A seeder as a process sees it that may be killed: after its end it asks nothing, and hears nothing.</summary>
internal sealed class MortalSeeder(ISeeder seeder, SimulatedProcess process) : ISeeder
{
    public SeederDescription Description => seeder.Description;

    public ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
        => LiveAsync(() => seeder.AskAsync(request, cancellationToken));

    public ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => LiveAsync(() => seeder.ReadAsync(request, offset, buffer, cancellationToken));

    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => LiveAsync(() => seeder.DigestAsync(request, firstChunk, digests, cancellationToken));

    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
        => LiveAsync(() => seeder.ListAsync(request, firstChunk, limit, cancellationToken));

    private async ValueTask<T> LiveAsync<T>(Func<ValueTask<T>> call)
    {
        if (process.IsDead)
            await new TaskCompletionSource().Task;
        try
        {
            return await call();
        }
        finally
        {
            if (process.IsDead)
                await new TaskCompletionSource().Task;
        }
    }
}
