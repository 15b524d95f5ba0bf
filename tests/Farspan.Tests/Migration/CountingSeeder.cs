using Farspan.Migration;
using Farspan.Waiting;

namespace Farspan.Tests.Migration;

/// <summary>A seeder whose reads are counted, and held back while a test says so.</summary>
internal sealed class CountingSeeder(ISeeder seeder) : ISeeder
{
    private readonly Signal _released = new();

    public SeederDescription Description => seeder.Description;

    public int Reads { get; private set; }

    public bool IsHeld { get; set; }

    public void Release()
    {
        IsHeld = false;
        _released.Set();
    }

    public ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default) => seeder.AskAsync(request, cancellationToken);

    public async ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Reads++;
        if (IsHeld)
            await _released.WaitAsync(cancellationToken);
        return await seeder.ReadAsync(request, offset, buffer, cancellationToken);
    }

    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => seeder.DigestAsync(request, firstChunk, digests, cancellationToken);

    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
        => seeder.ListAsync(request, firstChunk, limit, cancellationToken);
}
