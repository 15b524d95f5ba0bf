using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <summary>
/// A reply that waits for the sender. Its payload is either in <paramref name="Buffer"/>, behind room for the header at
/// <paramref name="Position"/>, and the reply owns one reference; or it is <paramref name="Message"/>.
/// </summary>
internal readonly record struct Outgoing(WireFrame Frame, WireBuffer? Buffer, int Position, byte[]? Message);
