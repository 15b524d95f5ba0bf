namespace Farspan.Nbd.Client;

/// <summary>What becomes of a request once its buffer is not in use any more.</summary>
internal enum RequestVerdict
{
    /// <summary>Nothing was decided.</summary>
    None,

    /// <summary>The caller is told.</summary>
    Complete,

    /// <summary>It is sent again on another connection.</summary>
    Resend,
}
