namespace Farspan.Migration;

/// <summary>
/// A seeder for the time before this host has all of the region: whoever wants to leech it is refused, and asks again. What a host answers that owns
/// nothing and has handed nothing over (<see cref="SeederRules"/>). Thread-safe.
/// </summary>
/// <param name="description">What it is to have.</param>
internal sealed class AwaitedSeeder(SeederDescription description) : ISeeder
{
    private volatile ISeeder? _seeder;

    /// <summary>Who answers from then on; null as long as there is nobody. Not owned.</summary>
    public ISeeder? Seeder
    {
        get => _seeder;
        set => _seeder = value;
    }

    /// <inheritdoc/>
    public SeederDescription Description => description;

    /// <inheritdoc/>
    public ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
        => _seeder?.AskAsync(request, cancellationToken) ?? new(new SeederReply(request.Call switch
        {
            SeederCall.GiveUp => SeederAnswer.GivenUp,
            SeederCall.Close => SeederAnswer.Released,
            _ => SeederAnswer.Refused,
        }));

    /// <inheritdoc/>
    public ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => _seeder?.ReadAsync(request, offset, buffer, cancellationToken) ?? new(false);

    /// <inheritdoc/>
    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => _seeder?.DigestAsync(request, firstChunk, digests, cancellationToken) ?? new(false);

    /// <inheritdoc/>
    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
        => _seeder?.ListAsync(request, firstChunk, limit, cancellationToken) ?? new((ChangedPage?)null);
}
