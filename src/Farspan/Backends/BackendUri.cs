using System.Collections.Frozen;
using Farspan.Units;

namespace Farspan.Backends;

/// <summary>
/// Where a backend is, as text: <c>scheme:path?key=value&amp;…</c> or <c>scheme://authority/path?key=value&amp;…</c>. A text without a scheme is the
/// path of a file. Values are percent-decoded; the path of <c>file:</c> and <c>directory:</c> is taken as it stands up to the first <c>?</c>.
/// </summary>
public sealed class BackendUri
{
    private readonly FrozenDictionary<string, string> _query;

    private BackendUri(string text, string scheme, string? authority, string path, FrozenDictionary<string, string> query)
    {
        Text = text;
        Scheme = scheme;
        Authority = authority;
        Path = path;
        _query = query;
    }

    /// <summary>The text as given; it may hold a password, so show <see cref="ToString"/> instead.</summary>
    public string Text { get; }

    /// <summary>The scheme in lower case, such as <c>nbd+unix</c>.</summary>
    public string Scheme { get; }

    /// <summary>What stands between <c>//</c> and the next <c>/</c>; null without <c>//</c>.</summary>
    public string? Authority { get; }

    /// <summary>What follows the authority, with its leading <c>/</c>; or all that follows the scheme.</summary>
    public string Path { get; }

    /// <summary>
    /// Names what the URI names the same way however it is written: scheme and host in lower case, the port where it is the usual one, paths of files
    /// absolute, parameters in order. Of the schemes that this library knows, parameters that only say how to reach the bytes are left out, and TLS
    /// and a user are too.
    /// </summary>
    public string Identity => BackendIdentity.Of(this);

    internal IEnumerable<KeyValuePair<string, string>> Parameters => _query;

    /// <summary>Parses a URI.</summary>
    /// <exception cref="FormatException">The text is no such URI; the message says why.</exception>
    public static BackendUri Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length == 0)
            throw new FormatException("The URI is empty; give one such as file:disk.img or nbd://host:10809/export.");
        int schemeEnd = SchemeEnd(text);
        string scheme = schemeEnd < 0 ? "file" : text[..schemeEnd].ToLowerInvariant();
        string rest = schemeEnd < 0 ? text : text[(schemeEnd + 1)..];
        int queryStart = rest.IndexOf('?', StringComparison.Ordinal);

        // A web server's query is its own: in any form, and taken as it stands.
        var query = queryStart < 0 || scheme is "http" or "https" ? FrozenDictionary<string, string>.Empty : ParseQuery(rest[(queryStart + 1)..]);
        if (queryStart >= 0)
            rest = rest[..queryStart];
        if (schemeEnd < 0 || !rest.StartsWith("//", StringComparison.Ordinal))
            return new BackendUri(text, scheme, authority: null, rest, query);
        int pathStart = rest.IndexOf('/', 2);
        string authority = pathStart < 0 ? rest[2..] : rest[2..pathStart];
        return new BackendUri(text, scheme, authority, pathStart < 0 ? "" : rest[pathStart..], query);
    }

    /// <summary>The value of a key, or null.</summary>
    public string? Get(string key) => _query.GetValueOrDefault(key);

    /// <summary>The value of a key as a number of bytes, or null.</summary>
    /// <exception cref="FormatException">The value is no size.</exception>
    public long? GetSize(string key) => Get(key) switch
    {
        null => null,
        var value when ByteSize.TryParse(value, out long bytes) => bytes,
        var value => throw new FormatException($"'{key}={value}' in {this} is no size; give one such as 4096, 64KiB, 1GiB or 500MB."),
    };

    /// <summary>The value of a key as a number of bytes that is at least 1, or null.</summary>
    /// <exception cref="FormatException">The value is no such size.</exception>
    public long? GetLength(string key)
        => GetSize(key) is not { } bytes || bytes > 0 ? GetSize(key) : throw new FormatException($"'{key}={Get(key)}' in {this}: give at least 1 byte.");

    /// <summary>The value of a key as a switch: <c>off</c>, <c>no</c>, <c>false</c>, <c>0</c>; or empty, <c>on</c>, <c>yes</c>, <c>true</c>, <c>1</c>.</summary>
    /// <param name="key">The key.</param>
    /// <param name="absent">What it is without the key.</param>
    /// <exception cref="FormatException">The value is none of those.</exception>
    public bool GetSwitch(string key, bool absent = false) => Get(key) switch
    {
        null => absent,
        "off" or "no" or "false" or "0" => false,
        "" or "on" or "yes" or "true" or "1" => true,
        var value => throw new FormatException($"'{key}={value}' in {this}: give on or off."),
    };

    /// <summary>Throws when the query holds a key that is not one of <paramref name="known"/>.</summary>
    /// <exception cref="FormatException">It does.</exception>
    public void AllowOnly(params ReadOnlySpan<string> known)
    {
        foreach (string key in _query.Keys)
        {
            if (!known.Contains(key))
            {
                string list = known.Length == 0 ? "takes no parameters" : $"takes {string.Join(", ", known.ToArray())}";
                throw new FormatException($"'{key}' in {this} is not known; {Scheme}: {list}.");
            }
        }
    }

    /// <summary>The text as given, with a password before the host replaced by <c>***</c>.</summary>
    public override string ToString()
    {
        int at = Authority?.LastIndexOf('@') ?? -1;
        int colon = at < 0 ? -1 : Authority!.IndexOf(':', 0, at);
        if (colon < 0)
            return Text;
        int start = Text.IndexOf("//", StringComparison.Ordinal) + 2;
        return string.Concat(Text.AsSpan(0, start + colon + 1), "***", Text.AsSpan(start + at));
    }

    private static int SchemeEnd(string text)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 1 || !char.IsAsciiLetter(text[0]))
            return -1;
        foreach (char c in text.AsSpan(0, colon))
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('+' or '-' or '.'))
                return -1;
        }

        return colon;
    }

    private static FrozenDictionary<string, string> ParseQuery(string query)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string pair in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            string key = Uri.UnescapeDataString(equals < 0 ? pair : pair[..equals]);
            if (!values.TryAdd(key, equals < 0 ? "" : Uri.UnescapeDataString(pair[(equals + 1)..])))
                throw new FormatException($"'{key}' stands twice in the parameters of the URI; give it once.");
        }

        return values.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
