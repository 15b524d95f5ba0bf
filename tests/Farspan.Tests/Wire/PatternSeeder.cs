using System.Security.Cryptography;
using Farspan.Backends;
using Farspan.Migration;

namespace Farspan.Tests.Wire;

/// <summary>A seeder of 1 MiB that answers each call of one token at once, always the same.</summary>
internal sealed class PatternSeeder : ISeeder
{
    public const int ChunkSize = 4096;
    public const int Length = 1 << 20;

    public static Guid Token { get; } = new(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

    public static SeederRequest Session { get; } = new(SeederCall.Read, Token, 5, 1);

    /// <summary>Zeroes, then noise, then text, in turns of 20,000 bytes.</summary>
    public static byte[] Bytes { get; } = Make();

    public static ChangedPage Page { get; } = new([.. Enumerable.Range(0, 100).Select(static i => new ChangedRun(2 * i, 1))], 240);

    public bool IsBacked { get; init; }

    public SeederDescription Description => new(Length, ChunkSize, IsBacked);

    public ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
    {
        var answer = request.Token != Token ? SeederAnswer.Refused : request.Call switch
        {
            SeederCall.Track => SeederAnswer.Tracking,
            SeederCall.Round => SeederAnswer.Round,
            SeederCall.Finalize => SeederAnswer.Yours,
            SeederCall.Close => SeederAnswer.Released,
            _ => SeederAnswer.GivenUp,
        };
        return new(new SeederReply(answer, Token, 2, 5, 1, IsExact: answer == SeederAnswer.Yours));
    }

    public ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        Bytes.AsMemory((int)offset, buffer.Length).CopyTo(buffer);
        return new(request.Token == Token);
    }

    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
    {
        for (int i = 0; i < digests.Length / SHA256.HashSizeInBytes; i++)
            SHA256.HashData(Bytes.AsSpan((int)(firstChunk + i) * ChunkSize, ChunkSize), digests.Span[(i * SHA256.HashSizeInBytes)..]);
        return new(request.Token == Token);
    }

    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
        => new(request.Token == Token && firstChunk == 0 && limit >= Page.Runs.Count ? Page : null);

    private static byte[] Make()
    {
        byte[] bytes = new byte[Length];
        var random = new Random(11);
        for (int at = 0; at < bytes.Length; at += 20_000)
        {
            var piece = bytes.AsSpan(at, Math.Min(20_000, bytes.Length - at));
            if (at / 20_000 % 3 == 1)
                random.NextBytes(piece);
            else if (at / 20_000 % 3 == 2)
                piece.Fill((byte)'x');
        }

        return bytes;
    }
}
