namespace Farspan.Tests.Migration.Model;

/// <summary>How far worlds are explored.</summary>
/// <param name="Faults">Crashes, and works that fail, of a path; loss, repetition and reordering of messages have no limit.</param>
/// <param name="Moves">Moves that are begun.</param>
/// <param name="Writes">Writes of the applications.</param>
/// <param name="Notes">Messages on their way at once.</param>
/// <param name="Rounds">Rounds of a session.</param>
/// <param name="HasStore">Whether a store stands behind the region. Then a host may be lost for good, once.</param>
/// <param name="Worlds">Worlds after which the exploration gives up.</param>
internal sealed record ModelLimits(int Faults, int Moves, int Writes, int Notes, int Rounds, bool HasStore = false, int Worlds = 8_000_000);
