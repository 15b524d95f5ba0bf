using Farspan.Backends;
using Farspan.Migration;

namespace Farspan.Tests.Migration;

/// <summary>A seeder whose answers a test changes or loses.</summary>
internal sealed class ToldSeeder(ISeeder seeder) : ISeeder
{
    public SeederDescription Description => seeder.Description;

    /// <summary>Sees each answer before the leecher does, and may throw.</summary>
    public Action<SeederRequest, SeederReply>? Answered { get; init; }

    /// <summary>Whether a digest is told.</summary>
    public Func<bool> TellsDigests { get; init; } = static () => true;

    /// <summary>Whether bytes come.</summary>
    public bool IsSilent { get; init; }

    public async ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
    {
        var reply = await seeder.AskAsync(request, cancellationToken);
        Answered?.Invoke(request, reply);
        return reply;
    }

    public ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => IsSilent ? throw new BackendException(BackendError.Disconnected, "Nothing comes.") : seeder.ReadAsync(request, offset, buffer, cancellationToken);

    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => TellsDigests() ? seeder.DigestAsync(request, firstChunk, digests, cancellationToken) : new(false);

    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
        => seeder.ListAsync(request, firstChunk, limit, cancellationToken);
}
