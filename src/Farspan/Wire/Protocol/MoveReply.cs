using System.Buffers.Binary;
using Farspan.Migration;

namespace Farspan.Wire.Protocol;

/// <summary>
/// The payload of the reply to MIGRATE_TRACK, _ROUND, _FINALIZE, _CLOSE and _GIVE_UP. Little-endian.
/// <code>
///  0  1  answer: 1 refused, 2 busy, 3 tracking, 4 round, 6 yours, 7 released, 8 given up
///  1  1  flags: 1 the list is exact; 2 its first page follows, from chunk 0 on
///  2  2  0
///  4  4  round
///  8 16  region
/// 24  8  epoch
/// 32  8  session
/// 40  n  the page (<see cref="MovePage"/>)
/// </code>
/// </summary>
internal static class MoveReply
{
    public const int Size = 40;

    private const byte Exact = 1;
    private const byte HasPage = 2;

    /// <summary>The longest such payload.</summary>
    public static int Longest { get; } = Size + MovePage.SizeOf(WireLimits.MaximumRuns);

    /// <summary>False where the bytes are no such reply, or have a page that cannot be.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, long chunkCount, out SeederReply reply, out ChangedPage? page)
    {
        reply = default;
        page = null;
        if (source.Length < Size)
            return false;
        var answer = (SeederAnswer)source[0];
        byte flags = source[1];
        if (answer is SeederAnswer.Wait or SeederAnswer.Bytes or > SeederAnswer.GivenUp || flags > (Exact | HasPage) || (source[2] | source[3]) != 0)
            return false;
        reply = new SeederReply(
            answer, new Guid(source.Slice(8, 16)), BinaryPrimitives.ReadInt64LittleEndian(source[24..]), BinaryPrimitives.ReadInt64LittleEndian(source[32..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[4..]), (flags & Exact) != 0);
        if (reply is not { Epoch: >= 0, Session: >= 0, Round: >= 0 })
            return false;
        return (flags & HasPage) == 0 ? source.Length == Size : MovePage.TryRead(source[Size..], 0, chunkCount, WireLimits.MaximumRuns, out page);
    }

    public static byte[] ToBytes(in SeederReply reply, ChangedPage? page)
    {
        byte[] bytes = new byte[Size + (page is null ? 0 : MovePage.SizeOf(page.Runs.Count))];
        bytes[0] = (byte)reply.Answer;
        bytes[1] = (byte)((reply.IsExact ? Exact : 0) | (page is null ? 0 : HasPage));
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), reply.Round);
        reply.Region.TryWriteBytes(bytes.AsSpan(8));
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), reply.Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(32), reply.Session);
        if (page is not null)
            MovePage.Write(page, bytes.AsSpan(Size));
        return bytes;
    }
}
