namespace Farspan.Migration;

/// <summary>What an event says of the copy at the leecher. It is carried out before anything else of the event; a crash after that finds no more proven.</summary>
internal enum CopyChange : byte
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>All of it is unproven: each chunk counts once its digest was compared, or its bytes came again.</summary>
    AllUnproven,

    /// <summary>The chunks of the list that came with the reply are unproven; what was read of them before, and arrives later, is thrown away.</summary>
    ListedUnproven,
}
