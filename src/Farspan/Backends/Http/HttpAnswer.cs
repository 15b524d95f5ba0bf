namespace Farspan.Backends.Http;

/// <summary>The checks of an answer to a request for a range of bytes, and its body.</summary>
internal static class HttpAnswer
{
    /// <summary>Throws unless the answer is the range from <paramref name="first"/> to <paramref name="last"/>, as it is stored. The whole length, where it says it.</summary>
    /// <exception cref="BackendException">It is not.</exception>
    public static long? CheckRange(HttpResponseMessage response, string where, long first, long last)
    {
        var headers = response.Content.Headers;
        if (headers.ContentEncoding.Any(encoding => !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase)))
            throw HttpFailures.Broken(where, $"sends it as {string.Join(", ", headers.ContentEncoding)}, which was not asked for, so that ranges are not those of its bytes");
        if (headers.ContentRange is not { Unit: "bytes", HasRange: true } range)
            throw HttpFailures.Broken(where, $"does not say which bytes it sends{(headers.ContentType is { } type ? $" (as {type})" : "")}");
        if (range.From != first || range.To != last)
            throw HttpFailures.Broken(where, $"sends bytes {range.From} to {range.To}, and {first} to {last} were asked for");
        if (headers.ContentLength is { } length && length != last - first + 1)
            throw HttpFailures.Broken(where, $"says that bytes {first} to {last} are {length}");
        return range.Length;
    }

    /// <summary>Fills all of <paramref name="buffer"/> with a body that has no more, or throws. Each piece has the whole of <paramref name="patience"/>.</summary>
    public static async ValueTask ReadBodyAsync(
        HttpResponseMessage response, Memory<byte> buffer, string where, CancellationTokenSource deadline, TimeSpan patience)
    {
        await using var body = await response.Content.ReadAsStreamAsync(deadline.Token);
        int filled = 0;
        while (filled < buffer.Length)
        {
            int count = await body.ReadAsync(buffer[filled..], deadline.Token);
            if (count == 0)
                throw new BackendException(BackendError.Disconnected, $"The server of {where} sent {filled} bytes where {buffer.Length} were asked for.");
            filled += count;
            deadline.CancelAfter(patience);
        }

        // Without a length in front, the end has to be seen.
        if (response.Content.Headers.ContentLength is null && await body.ReadAsync(new byte[1], deadline.Token) > 0)
            throw HttpFailures.Broken(where, $"sends more than the {buffer.Length} bytes that were asked for");
    }
}
