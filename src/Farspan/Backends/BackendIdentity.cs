namespace Farspan.Backends;

/// <summary>One name for each backend, however its URI is written.</summary>
internal static class BackendIdentity
{
    /// <summary>The name of what a URI names.</summary>
    public static string Of(BackendUri uri)
    {
        if (uri is { Scheme: "file" or "directory", Authority: null })
            return $"{uri.Scheme}:{Path.GetFullPath(uri.Path.Length > 0 ? uri.Path : ".")}";
        if (uri.Scheme is "http" or "https" && Uri.TryCreate(uri.Text, UriKind.Absolute, out var address))
            return address.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped);
        string scheme = uri.Scheme.Replace("nbds", "nbd", StringComparison.Ordinal).Replace("farspans", "farspan", StringComparison.Ordinal);
        string? place = Place(uri, scheme);
        string path = uri.Authority is null ? uri.Path : "/" + Uri.UnescapeDataString(uri.Path.TrimStart('/'));
        return $"{scheme}:{(place is null ? "" : "//" + place)}{path}{Query(uri, scheme)}";
    }

    private static string? Place(BackendUri uri, string scheme)
    {
        string? authority = uri.Authority?.ToLowerInvariant();
        int? usualPort = scheme switch { "nbd" => 10809, "farspan" => 10900, _ => null };
        if (authority is null || usualPort is null)
            return authority;
        authority = authority[(authority.LastIndexOf('@') + 1)..];
        bool hasPort = authority.LastIndexOf(':') > authority.LastIndexOf(']');
        return hasPort ? authority : $"{authority}:{usualPort}";
    }

    private static string Query(BackendUri uri, string scheme)
    {
        bool isKnown = scheme is "nbd" or "nbd+unix" or "farspan" or "farspan+unix";
        var parameters = uri.Parameters.Where(pair => !isKnown || pair.Key == "socket")
            .OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => $"{pair.Key}={(isKnown ? Path.GetFullPath(pair.Value) : pair.Value)}");
        string query = string.Join('&', parameters);
        return query.Length > 0 ? "?" + query : "";
    }
}
