using System.Net;
using System.Net.Http.Headers;
using System.Text;

namespace Farspan.Backends.Http;

/// <summary>
/// An object of a web server, read by ranges. Each answer has to be of the object that was opened, as its entity tag or else its time says, and to be
/// exactly the range that was asked for; a server that ignores ranges is refused.
/// </summary>
/// <remarks>Where a server gives neither tag nor time, a change that keeps the length cannot be seen.</remarks>
internal sealed class HttpBackend : UnwritableBackend, IBlockSizes, IConcurrentWriters
{
    private const int MaximumConnections = 16;
    private const int MaximumRedirections = 5;

    private readonly HttpClient _client;
    private readonly Uri _address;
    private readonly AuthenticationHeaderValue? _credentials;
    private readonly BackendOpenOptions _options;
    private readonly string _where;
    private HttpObject _object = new(0, null, null);

    private HttpBackend(Uri address, BackendOpenOptions options)
    {
        if (address.UserInfo.Length > 0)
            _credentials = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(address.UserInfo))));
        _address = new Uri(address.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped));
        _options = options;

        // Not the query, which may hold a signature.
        _where = address.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped);
        _client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = true,
            MaxAutomaticRedirections = MaximumRedirections,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = options.Timeout,
            MaxConnectionsPerServer = MaximumConnections,
            MaxResponseHeadersLength = 64,
            MaxResponseDrainSize = 0,
            UseCookies = false,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    /// <inheritdoc/>
    public override long Length => _object.Length;

    /// <inheritdoc/>
    public BlockSizes BlockSizes => new(1, 64 << 10, 32 << 20);

    /// <inheritdoc/>
    protected override string Refusal => $"{_where} is read-only: it is on a web server.";

    /// <summary>Opens <c>http:</c> and <c>https:</c>.</summary>
    /// <exception cref="FormatException">The URI is none of the web.</exception>
    /// <exception cref="BackendException">The server cannot be reached, has no such object, or sends no ranges.</exception>
    public static async ValueTask<IBackend> OpenAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        if (!Uri.TryCreate(uri.Text, UriKind.Absolute, out var address) || address.Host.Length == 0)
            throw new FormatException($"{uri} is no address of the web; give one such as https://host/disk.img.");
        var backend = new HttpBackend(address, options);
        try
        {
            await backend.ProbeAsync(cancellationToken);
            return backend;
        }
        catch
        {
            await backend.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public override async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        cancellationToken.ThrowIfCancellationRequested();
        if (buffer.IsEmpty)
            return;
        using var deadline = new Deadline(_options, cancellationToken);
        try
        {
            using var response = await SendAsync(HttpMethod.Get, offset, buffer.Length, deadline.Token);
            switch (response.StatusCode)
            {
                case HttpStatusCode.PartialContent:
                    break;
                case HttpStatusCode.PreconditionFailed:
                    throw HttpFailures.Changed(_where, "the server says so");
                case HttpStatusCode.OK or HttpStatusCode.RequestedRangeNotSatisfiable:
                    throw _object.Difference(response.Content.Headers.ContentRange?.Length ?? response.Content.Headers.ContentLength, response) is { } other
                        ? HttpFailures.Changed(_where, other)
                        : HttpFailures.Broken(_where, $"does not send ranges of bytes any more (it says {(int)response.StatusCode})");
                default:
                    throw HttpFailures.OfStatus(response.StatusCode, _where);
            }

            // Who sent another object may well have sent another range.
            if (_object.Difference(response.Content.Headers.ContentRange?.Length, response) is { } difference)
                throw HttpFailures.Changed(_where, difference);
            HttpAnswer.CheckRange(response, _where, offset, offset + buffer.Length - 1);
            await HttpAnswer.ReadBodyAsync(response, buffer, _where, deadline.Source, _options.Timeout);
        }
        catch (Exception error) when (IsOfTheLine(error) && !cancellationToken.IsCancellationRequested)
        {
            throw Translate(error, deadline);
        }
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        _client.Dispose();
        return base.DisposeAsync();
    }

    /// <summary>Asks for the first byte, which shows whether ranges are sent, how long the object is, and what it is.</summary>
    private async Task ProbeAsync(CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(_options, cancellationToken);
        try
        {
            using var response = await SendAsync(HttpMethod.Get, 0, 1, deadline.Token);
            if (response.StatusCode == HttpStatusCode.OK)
                throw new BackendException(BackendError.NotSupported, $"The server of {_where} sends no ranges of bytes, only the whole; download it, or use a server that does (nginx, Apache, S3).");
            if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
                throw new BackendException(BackendError.Invalid, $"{_where} is empty and has no bytes to serve.");
            if (response.StatusCode != HttpStatusCode.PartialContent)
                throw HttpFailures.OfStatus(response.StatusCode, _where);
            long? length = HttpAnswer.CheckRange(response, _where, 0, 0);
            await HttpAnswer.ReadBodyAsync(response, new byte[1], _where, deadline.Source, _options.Timeout);
            _object = new HttpObject(length ?? await AskLengthAsync(deadline.Token), response.Headers.ETag, response.Content.Headers.LastModified);
        }
        catch (Exception error) when (IsOfTheLine(error) && !cancellationToken.IsCancellationRequested)
        {
            throw Translate(error, deadline);
        }
    }

    /// <summary>The length by HEAD, for servers that do not say it beside a range.</summary>
    private async Task<long> AskLengthAsync(CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Head, 0, 0, cancellationToken);
        return response is { StatusCode: HttpStatusCode.OK, Content.Headers.ContentLength: > 0 and var length }
            ? length
            : throw new BackendException(BackendError.NotSupported, $"The server of {_where} does not say how long it is.");
    }

    private Task<HttpResponseMessage> SendAsync(HttpMethod method, long offset, long length, CancellationToken cancellationToken)
    {
        var request = new HttpRequestMessage(method, _address);
        request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
        request.Headers.Authorization = _credentials;
        if (length > 0)
            request.Headers.Range = new RangeHeaderValue(offset, offset + length - 1);
        _object.Require(request);
        return _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    private static bool IsOfTheLine(Exception error) => error is HttpRequestException or OperationCanceledException || (error is IOException && error is not BackendException);

    private BackendException Translate(Exception error, Deadline deadline)
        => error is OperationCanceledException && deadline.Token.IsCancellationRequested
            ? new BackendException(BackendError.TimedOut, $"The server of {_where} did not answer within {_options.Timeout.TotalSeconds:0.###} s.", error)
            : HttpFailures.Wrap(error, _where);
}
