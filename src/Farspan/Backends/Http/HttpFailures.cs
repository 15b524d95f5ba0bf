using System.Net;

namespace Farspan.Backends.Http;

/// <summary>What a web server or the way to it did wrong, as failures of a backend.</summary>
internal static class HttpFailures
{
    /// <summary>The failure that a status means.</summary>
    public static BackendException OfStatus(HttpStatusCode status, string where) => (int)status switch
    {
        401 or 403 or 407 => new BackendException(BackendError.AccessDenied, $"{where} may not be read: the server says {Shown(status)}."),
        404 or 410 => new BackendException(BackendError.NotFound, $"{where} does not exist: the server says {Shown(status)}."),
        408 or 429 or >= 500 => new BackendException(BackendError.InputOutput, $"The server of {where} cannot answer now: it says {Shown(status)}.", isTransient: true),
        >= 300 and < 400 => new BackendException(BackendError.Protocol, $"{where} is sent elsewhere too often, or where it may not be followed: the server says {Shown(status)}."),
        _ => new BackendException(BackendError.Protocol, $"The server of {where} does not do what it was asked for: it says {Shown(status)}."),
    };

    /// <summary>The failure of a request that got no answer, or not all of it.</summary>
    public static BackendException Wrap(Exception error, string where)
    {
        var request = error as HttpRequestException;
        string reason = (error.InnerException ?? error).Message;
        return request?.HttpRequestError switch
        {
            HttpRequestError.SecureConnectionError => new BackendException(BackendError.AccessDenied, $"No TLS with the server of {where}: {reason}", error),
            HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded => new BackendException(BackendError.Protocol, $"The server of {where} answers what is no HTTP: {reason}", error),
            _ => new BackendException(BackendError.Disconnected, $"No answer from the server of {where}: {reason}", error),
        };
    }

    /// <summary>The answer breaks what was asked for.</summary>
    public static BackendException Broken(string where, string what) => new(BackendError.Protocol, $"The server of {where} {what}.");

    /// <summary>The object is another one now.</summary>
    public static BackendException Changed(string where, string difference)
        => new(BackendError.InputOutput, $"{where} was changed while it was open ({difference}); open it again.", isTransient: false);

    private static string Shown(HttpStatusCode status) => $"{(int)status} {status}";
}
