using Farspan.Stages;

namespace Farspan.Backends;

/// <summary>
/// Opens backends by URI. Each project that brings a backend registers its schemes here; the last registration of a scheme wins.
/// Registering is not thread-safe; opening is.
/// </summary>
public sealed class BackendRegistry
{
    private readonly SortedDictionary<string, BackendOpener> _openers = new(StringComparer.Ordinal);

    /// <summary>The schemes that can be opened, sorted.</summary>
    public IReadOnlyCollection<string> Schemes => _openers.Keys;

    /// <summary>Registers the opener of a scheme.</summary>
    public BackendRegistry Register(string scheme, BackendOpener opener)
    {
        ArgumentException.ThrowIfNullOrEmpty(scheme);
        ArgumentNullException.ThrowIfNull(opener);
        _openers[scheme] = opener;
        return this;
    }

    /// <summary>Opens the backend that <paramref name="uri"/> names; the caller owns it. A store that knows no opening for reading only gets a
    /// <see cref="ReadOnlyStage"/> where that is asked for.</summary>
    /// <exception cref="FormatException">The text is no URI, its scheme is not registered, or its parameters do not fit the scheme.</exception>
    /// <exception cref="BackendException">The store could not be opened.</exception>
    public async ValueTask<IBackend> OpenAsync(string uri, BackendOpenOptions? options = null, CancellationToken cancellationToken = default)
    {
        var parsed = BackendUri.Parse(uri);
        if (!_openers.TryGetValue(parsed.Scheme, out var opener))
        {
            throw new FormatException(
                $"No backend is known for '{parsed.Scheme}:' in {parsed}; known are {string.Join(", ", _openers.Keys)} (for a file of that name: file:{parsed}).");
        }

        options ??= new BackendOpenOptions();
        var backend = await opener(parsed, options, cancellationToken);
        return options.ReadOnly && !backend.IsReadOnly ? new ReadOnlyStage(backend) : backend;
    }
}
