using Farspan.Backends;
using Farspan.Migration;

namespace Farspan.Tests.Migration;

/// <summary>A seeder whose host is lost at some moment, for good.</summary>
internal sealed class DyingSeeder(ISeeder seeder, Func<bool> isLost) : ISeeder
{
    public SeederDescription Description => seeder.Description;

    public ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
        => isLost() ? throw Lost() : seeder.AskAsync(request, cancellationToken);

    public ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => isLost() ? throw Lost() : seeder.ReadAsync(request, offset, buffer, cancellationToken);

    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => isLost() ? throw Lost() : seeder.DigestAsync(request, firstChunk, digests, cancellationToken);

    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
        => isLost() ? throw Lost() : seeder.ListAsync(request, firstChunk, limit, cancellationToken);

    private static BackendException Lost() => new(BackendError.Disconnected, "The host is lost.");
}
