namespace Farspan.Wire.Server;

/// <summary>A lease as it is kept.</summary>
/// <param name="Epoch">Its number.</param>
/// <param name="Session">Whose it is; empty once it was given back.</param>
/// <param name="Key">The holder's own name for it.</param>
/// <param name="Holder">Who holds it, in words.</param>
internal sealed record LeaseRecord(long Epoch, Guid Session, Guid Key, string Holder);
