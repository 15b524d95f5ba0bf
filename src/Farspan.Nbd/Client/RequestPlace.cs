namespace Farspan.Nbd.Client;

/// <summary>Where a request is.</summary>
internal enum RequestPlace
{
    /// <summary>Not submitted.</summary>
    Idle,

    /// <summary>Waiting for a place in a connection, or for a connection.</summary>
    Waiting,

    /// <summary>In a slot of a connection.</summary>
    Sent,

    /// <summary>Completed.</summary>
    Done,
}
