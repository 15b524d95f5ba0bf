using System.Buffers.Binary;
using Farspan.Migration;

namespace Farspan.Wire.Protocol;

/// <summary>
/// The payload of every request about a region that is being moved. Little-endian.
/// <code>
///  0 16  token of the move; never zero
/// 16  8  session, from the reply to MIGRATE_TRACK; 0 without one
/// 24  4  round: for MIGRATE_ROUND the one that is wanted, for MIGRATE_FINALIZE the last that came
/// </code>
/// What else a request needs is in its header; a generation is the leecher's own affair.
/// </summary>
internal static class MoveRequest
{
    public const int Size = 28;

    /// <summary>Whether the operation is one of these.</summary>
    public static bool Has(WireOperation operation) => operation is >= WireOperation.MigrateTrack and <= WireOperation.MigrateList;

    /// <summary>False where the bytes are no such payload, or the header does not fit it.</summary>
    public static bool TryRead(in WireFrame header, ReadOnlySpan<byte> source, out SeederRequest request)
    {
        request = default;
        var call = header.Operation == WireOperation.MigrateList ? CallOf((WireOperation)header.Detail) : CallOf(header.Operation);
        if (source.Length != Size || call == SeederCall.None)
            return false;
        request = new SeederRequest(
            call, new Guid(source[..16]), BinaryPrimitives.ReadInt64LittleEndian(source[16..]), BinaryPrimitives.ReadInt32LittleEndian(source[24..]));
        return request.Token != Guid.Empty && request is { Session: >= 0, Round: >= 0 };
    }

    public static byte[] ToBytes(in SeederRequest request)
    {
        byte[] bytes = new byte[Size];
        request.Token.TryWriteBytes(bytes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), request.Session);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(24), request.Round);
        return bytes;
    }

    /// <summary>The operation of a call that is asked.</summary>
    public static WireOperation OperationOf(SeederCall call) => call switch
    {
        SeederCall.Track => WireOperation.MigrateTrack,
        SeederCall.Round => WireOperation.MigrateRound,
        SeederCall.Finalize => WireOperation.MigrateFinalize,
        SeederCall.Close => WireOperation.MigrateClose,
        SeederCall.GiveUp => WireOperation.MigrateGiveUp,
        _ => throw new ArgumentOutOfRangeException(nameof(call), call, "This call is not one that is asked."),
    };

    private static SeederCall CallOf(WireOperation operation) => operation switch
    {
        WireOperation.MigrateTrack => SeederCall.Track,
        WireOperation.MigrateRound => SeederCall.Round,
        WireOperation.MigrateFinalize => SeederCall.Finalize,
        WireOperation.MigrateClose => SeederCall.Close,
        WireOperation.MigrateGiveUp => SeederCall.GiveUp,
        WireOperation.MigrateRead or WireOperation.MigrateDigest => SeederCall.Read,
        _ => SeederCall.None,
    };
}
