namespace Farspan.Backends;

/// <summary>Opens the backend that a URI names; the caller owns it.</summary>
/// <exception cref="FormatException">The URI's parts or parameters do not fit the scheme.</exception>
/// <exception cref="BackendException">The store could not be opened.</exception>
public delegate ValueTask<IBackend> BackendOpener(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken);
