namespace Farspan.Nbd.Server;

/// <summary>What follows an option.</summary>
internal enum OptionOutcome
{
    /// <summary>Send the reply, then the next option.</summary>
    Continue,

    /// <summary>Send the reply, then upgrade to TLS.</summary>
    StartTls,

    /// <summary>Send the reply, then serve the chosen export.</summary>
    Transmit,

    /// <summary>Send the reply, if any, then close.</summary>
    Close,
}
