namespace Farspan.Nbd.Server;

/// <summary>Which headers the client negotiated.</summary>
internal enum HeaderMode
{
    /// <summary>Compact requests, simple replies.</summary>
    Simple,

    /// <summary>Compact requests, structured replies.</summary>
    Structured,

    /// <summary>Extended requests and replies (64-bit lengths).</summary>
    Extended,
}
