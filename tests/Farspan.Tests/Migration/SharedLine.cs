using Farspan.Migration;
using Farspan.Transports;
using Farspan.Waiting;

namespace Farspan.Tests.Migration;

/// <summary>
/// One leecher's end of a line that others use as well: requests go up and replies come down one after the other, whoever they are for, at the line's rate.
/// </summary>
internal sealed class SharedLine(LinkModel link, ISeeder seeder) : ISeeder
{
    private const int RequestSize = 96;

    private readonly Signal _reads = new();

    public SeederDescription Description => seeder.Description;

    /// <summary>Bytes that were carried.</summary>
    public long Carried { get; private set; }

    /// <summary>Whether replies are taken; where not, they have crossed the line all the same.</summary>
    public bool IsRead { get; set; } = true;

    /// <summary>Replies that came and were not taken.</summary>
    public int Untaken { get; private set; }

    /// <summary>Takes what has come.</summary>
    public void ReadAgain()
    {
        IsRead = true;
        _reads.Set();
    }

    public ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
        => CallAsync(RequestSize, () => seeder.AskAsync(request, CancellationToken.None), cancellationToken);

    public ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => CallAsync(buffer.Length, () => seeder.ReadAsync(request, offset, buffer, CancellationToken.None), cancellationToken);

    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => CallAsync(digests.Length, () => seeder.DigestAsync(request, firstChunk, digests, CancellationToken.None), cancellationToken);

    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
        => CallAsync(RequestSize, () => seeder.ListAsync(request, firstChunk, limit, CancellationToken.None), cancellationToken);

    private async ValueTask<T> CallAsync<T>(int replyLength, Func<ValueTask<T>> call, CancellationToken cancellationToken)
    {
        await link.WaitUntilAsync(link.SendUp(RequestSize), cancellationToken);
        var reply = await call();
        await link.WaitUntilAsync(link.SendDown(replyLength), cancellationToken);
        if (!IsRead)
        {
            Untaken++;
            await _reads.WaitAsync(cancellationToken);
        }

        Carried += replyLength;
        return reply;
    }
}
