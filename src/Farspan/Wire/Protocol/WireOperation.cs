namespace Farspan.Wire.Protocol;

/// <summary>What a request asks for. A number that a server does not know is answered with NOT_SUPPORTED, and the connection goes on.</summary>
internal enum WireOperation : ushort
{
    None = 0,
    Read = 1,
    Write = 2,
    Flush = 3,
    Trim = 4,
    Zero = 5,
    Extents = 6,
    LeaseAcquire = 7,
    LeaseRenew = 8,
    LeaseRelease = 9,
    Ping = 10,

    /// <summary>The last request of a connection; it has no reply.</summary>
    Goodbye = 11,

    /// <summary>Of a region that is being moved, as all that follow: <see cref="Migration.SeederCall.Track"/>.</summary>
    MigrateTrack = 16,

    /// <summary><see cref="Migration.SeederCall.Round"/>.</summary>
    MigrateRound = 17,

    /// <summary><see cref="Migration.SeederCall.Finalize"/>.</summary>
    MigrateFinalize = 18,

    /// <summary><see cref="Migration.SeederCall.Close"/>.</summary>
    MigrateClose = 19,

    /// <summary><see cref="Migration.SeederCall.GiveUp"/>.</summary>
    MigrateGiveUp = 20,

    /// <summary>Bytes, packed where the request allows it.</summary>
    MigrateRead = 21,

    /// <summary>SHA-256 of chunks.</summary>
    MigrateDigest = 22,

    /// <summary>A page of the list of a round or of a hand-over.</summary>
    MigrateList = 23,
}
