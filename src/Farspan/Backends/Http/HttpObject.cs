using System.Net.Http.Headers;

namespace Farspan.Backends.Http;

/// <summary>What an object was when it was opened. Every answer has to be of the same.</summary>
/// <param name="Length">Its bytes.</param>
/// <param name="Tag">Its entity tag; null where the server gives none.</param>
/// <param name="Modified">When it was changed last; null where the server does not say.</param>
internal sealed record HttpObject(long Length, EntityTagHeaderValue? Tag, DateTimeOffset? Modified)
{
    /// <summary>Asks the server to answer only where it still has this object. A weak tag does not tell one sequence of bytes from another.</summary>
    public void Require(HttpRequestMessage request)
    {
        if (Tag is { IsWeak: false })
            request.Headers.IfMatch.Add(Tag);
        else if (Modified is not null)
            request.Headers.IfUnmodifiedSince = Modified;
    }

    /// <summary>What of an answer says that it is of another object, or null. Servers between may pass conditions by.</summary>
    public string? Difference(long? length, HttpResponseMessage response)
    {
        if (length is not null && length != Length)
            return $"it has {length} bytes now, and had {Length}";
        if (!Equals(Tag, response.Headers.ETag))
            return $"its entity tag is {Shown(response.Headers.ETag)} now, and was {Shown(Tag)}";
        return Tag is null && Modified != response.Content.Headers.LastModified ? "it was modified" : null;
    }

    private static string Shown(EntityTagHeaderValue? tag) => tag?.ToString() ?? "none";
}
