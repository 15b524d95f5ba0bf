using System.Text;
using Farspan.Backends;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Backends.Http;

/// <summary>Answers that no right server gives.</summary>
public sealed class HttpBackendTests
{
    private static readonly byte[] Contents = BackendModel.Bytes(7, 10_000);

    [Fact(Timeout = 120_000)]
    public async Task RightServer_IsRead()
    {
        await using var server = new ScriptedWebServer(request => ScriptedWebServer.Range(request, Contents));
        await using var backend = await OpenAsync(server);
        Assert.Equal(Contents.Length, backend.Length);
        byte[] buffer = new byte[5000];
        await backend.ReadAsync(1234, buffer);
        Assert.Equal(Contents[1234..6234], buffer);
        Assert.Contains("\r\nIf-Match: \"a\"\r\n", server.Requests.Last());
        Assert.All(server.Requests, request => Assert.Contains("Accept-Encoding: identity", request));
    }

    [Fact(Timeout = 120_000)]
    public async Task RangesIgnored_IsRefusedAndNotDownloaded()
    {
        await using var server = new ScriptedWebServer(_ => ScriptedWebServer.Reply("200 OK", "Content-Length: 1000000000", Contents));
        var refusal = await RefusedAsync(server);
        Assert.Equal(BackendError.NotSupported, refusal.Error);
        Assert.Contains("no ranges", refusal.Message);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("206 Partial Content", "Content-Length: 1", BackendError.Protocol)]
    [InlineData("206 Partial Content", "Content-Length: 1\nContent-Range: bytes 1-1/10000", BackendError.Protocol)]
    [InlineData("206 Partial Content", "Content-Length: 1\nContent-Range: bytes 0-1/10000", BackendError.Protocol)]
    [InlineData("206 Partial Content", "Content-Length: 2\nContent-Range: bytes 0-0/10000", BackendError.Protocol)]
    [InlineData("206 Partial Content", "Content-Length: 1\nContent-Range: lines 0-0/10000", BackendError.Protocol)]
    [InlineData("206 Partial Content", "Content-Length: 1\nContent-Range: bytes */10000", BackendError.Protocol)]
    [InlineData("206 Partial Content", "Content-Type: multipart/byteranges; boundary=x\nContent-Length: 1", BackendError.Protocol)]
    [InlineData("206 Partial Content", "Content-Encoding: gzip\nContent-Length: 1\nContent-Range: bytes 0-0/10000", BackendError.Protocol)]
    [InlineData("416 Range Not Satisfiable", "Content-Length: 0\nContent-Range: bytes */0", BackendError.Invalid)]
    [InlineData("404 Not Found", "Content-Length: 0", BackendError.NotFound)]
    [InlineData("403 Forbidden", "Content-Length: 0", BackendError.AccessDenied)]
    [InlineData("304 Not Modified", "Content-Length: 0", BackendError.Protocol)]
    [InlineData("302 Found", "Content-Length: 0\nLocation: /again", BackendError.Protocol)]
    public async Task WrongAnswer_IsRefusedWithTheReason(string status, string headers, BackendError error)
    {
        await using var server = new ScriptedWebServer(_ => ScriptedWebServer.Reply(status, headers, headers.Contains("Length: 0") ? [] : Contents[..2]));
        var refusal = await RefusedAsync(server);
        Assert.Equal(error, refusal.Error);
        Assert.False(refusal.IsTransient);
        Assert.Contains(server.Address, refusal.Message);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("500 Internal Server Error")]
    [InlineData("503 Service Unavailable")]
    [InlineData("429 Too Many Requests")]
    public async Task ServerInTrouble_IsTransient(string status)
    {
        await using var server = new ScriptedWebServer(request => ScriptedWebServer.Range(request, Contents));
        await using var backend = await OpenAsync(server);
        server.Answer = _ => ScriptedWebServer.Reply(status, "Content-Length: 0");
        Assert.True((await FailsAsync(backend)).IsTransient);
        server.Answer = request => ScriptedWebServer.Range(request, Contents);
        await backend.ReadAsync(0, new byte[100]);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("ETag: \"b\"")]
    [InlineData("ETag: W/\"a\"")]
    [InlineData("Date: Sat, 01 Jan 2022 00:00:00 GMT")]
    public async Task AnotherTag_IsNoBytesOfAnotherObject(string validators)
    {
        await using var server = new ScriptedWebServer(request => ScriptedWebServer.Range(request, Contents));
        await using var backend = await OpenAsync(server);
        server.Answer = request => ScriptedWebServer.Range(request, Contents, validators);
        await ChangedAsync(backend);
    }

    [Fact(Timeout = 120_000)]
    public async Task AnotherTimeWithoutTags_IsNoBytesOfAnotherObject()
    {
        await using var server = new ScriptedWebServer(request => ScriptedWebServer.Range(request, Contents, "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT"));
        await using var backend = await OpenAsync(server);
        await backend.ReadAsync(0, new byte[100]);
        Assert.Contains("\r\nIf-Unmodified-Since: Sat, 01 Jan 2022 00:00:00 GMT\r\n", server.Requests.Last());
        server.Answer = request => ScriptedWebServer.Range(request, Contents, "Last-Modified: Sat, 01 Jan 2022 00:00:01 GMT");
        await ChangedAsync(backend);
    }

    [Fact(Timeout = 120_000)]
    public async Task AnotherLength_IsNoBytesOfAnotherObject()
    {
        await using var server = new ScriptedWebServer(request => ScriptedWebServer.Range(request, Contents, "Server: x"));
        await using var backend = await OpenAsync(server);
        server.Answer = request => ScriptedWebServer.Range(request, Contents[..^1], "Server: x");
        await ChangedAsync(backend);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("412 Precondition Failed", "Content-Length: 0")]
    [InlineData("200 OK", "ETag: \"b\"\nContent-Length: 10000")]
    [InlineData("416 Range Not Satisfiable", "Content-Length: 0\nContent-Range: bytes */5\nETag: \"a\"")]
    public async Task RefusalBecauseOfAChange_IsToldAsOne(string status, string headers)
    {
        await using var server = new ScriptedWebServer(request => ScriptedWebServer.Range(request, Contents));
        await using var backend = await OpenAsync(server);
        server.Answer = _ => ScriptedWebServer.Reply(status, headers);
        await ChangedAsync(backend);
    }

    [Fact(Timeout = 120_000)]
    public async Task ShortBody_IsALostLineAndNeverZeroes()
    {
        await using var server = new ScriptedWebServer(request => ScriptedWebServer.Range(request, Contents));
        await using var backend = await OpenAsync(server);
        server.Answer = request => ScriptedWebServer.Range(request, Contents)[..^3];
        var error = await FailsAsync(backend);
        Assert.Equal(BackendError.Disconnected, error.Error);
        Assert.True(error.IsTransient);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(99, BackendError.Disconnected)]
    [InlineData(100, null)]
    [InlineData(101, BackendError.Protocol)]
    public async Task BodyWithoutALength_HasToBeTheRange(int sent, BackendError? expected)
    {
        await using var server = new ScriptedWebServer(request => ScriptedWebServer.Range(request, Contents));
        await using var backend = await OpenAsync(server);
        server.Answer = _ => ScriptedWebServer.Reply(
            "206 Partial Content",
            "ETag: \"a\"\nTransfer-Encoding: chunked\nContent-Range: bytes 0-99/10000",
            [.. Encoding.ASCII.GetBytes($"{sent:x}\r\n"), .. Contents[..sent], .. "\r\n0\r\n\r\n"u8]);
        if (expected is null)
            await backend.ReadAsync(0, new byte[100]);
        else
            Assert.Equal(expected, (await FailsAsync(backend)).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task LengthOnlyByHead_IsAskedFor()
    {
        await using var server = new ScriptedWebServer(request => request.StartsWith("HEAD", StringComparison.Ordinal)
            ? ScriptedWebServer.Reply("200 OK", "ETag: \"a\"\nContent-Length: 10000")
            : ScriptedWebServer.Reply("206 Partial Content", "ETag: \"a\"\nContent-Length: 1\nContent-Range: bytes 0-0/*", Contents[..1]));
        await using var backend = await OpenAsync(server);
        Assert.Equal(10000, backend.Length);
    }

    [Fact(Timeout = 120_000)]
    public async Task LengthNowhere_IsRefused()
    {
        await using var server = new ScriptedWebServer(request => request.StartsWith("HEAD", StringComparison.Ordinal)
            ? ScriptedWebServer.Reply("200 OK", "ETag: \"a\"\nTransfer-Encoding: chunked")
            : ScriptedWebServer.Reply("206 Partial Content", "ETag: \"a\"\nContent-Length: 1\nContent-Range: bytes 0-0/*", Contents[..1]));
        Assert.Contains("how long", (await RefusedAsync(server)).Message);
    }

    [Fact(Timeout = 120_000)]
    public async Task Redirection_IsFollowedWithoutThePassword()
    {
        await using var server = new ScriptedWebServer(request => request.StartsWith("GET /moved", StringComparison.Ordinal)
            ? ScriptedWebServer.Reply("302 Found", "Content-Length: 0\nLocation: /here")
            : ScriptedWebServer.Range(request, Contents));
        string address = server.Address.Replace("//", "//user:secret@", StringComparison.Ordinal);
        await using var backend = await new BackendRegistry().AddCoreBackends().OpenAsync($"{address}/moved?a=1&a=2");
        await backend.ReadAsync(0, new byte[100]);
        Assert.Contains("Authorization: Basic", server.Requests.First());
        Assert.Contains("/moved?a=1&a=2", server.Requests.First());
        Assert.All(server.Requests.Where(request => request.Contains("/here")), request => Assert.DoesNotContain("Authorization", request));
    }

    [Fact(Timeout = 120_000)]
    public async Task Silence_EndsByTheTimeout()
    {
        await using var server = new ScriptedWebServer(request => ScriptedWebServer.Range(request, Contents));
        await using var backend = await OpenAsync(server, TimeSpan.FromSeconds(1));
        server.Answer = _ => null;
        var error = await FailsAsync(backend);
        Assert.Equal(BackendError.TimedOut, error.Error);
        using var cancelled = new CancellationTokenSource();
        var reading = backend.ReadAsync(0, new byte[1], cancelled.Token);
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await reading);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("hello")]
    [InlineData("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/10\r\nContent-Length: x\r\n\r\n")]
    public async Task NoHttp_IsRefused(string answer)
    {
        await using var server = new ScriptedWebServer(_ => Encoding.ASCII.GetBytes(answer));
        await RefusedAsync(server);
    }

    [Fact(Timeout = 120_000)]
    public async Task NobodyThere_IsALostLine()
    {
        var server = new ScriptedWebServer(_ => null);
        await server.DisposeAsync();
        Assert.Equal(BackendError.Disconnected, (await RefusedAsync(server)).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task Secrets_AreNotInMessages()
    {
        await using var server = new ScriptedWebServer(_ => ScriptedWebServer.Reply("404 Not Found", "Content-Length: 0"));
        string address = server.Address.Replace("//", "//user:secret@", StringComparison.Ordinal);
        var error = await Assert.ThrowsAsync<BackendException>(async () => await new BackendRegistry().AddCoreBackends().OpenAsync($"{address}/x?Signature=secret"));
        Assert.DoesNotContain("secret", error.Message);
    }

    private static ValueTask<IBackend> OpenAsync(ScriptedWebServer server, TimeSpan? timeout = null)
        => new BackendRegistry().AddCoreBackends().OpenAsync($"{server.Address}/disk.img", new BackendOpenOptions { Timeout = timeout ?? TimeSpan.FromSeconds(60) });

    private static Task<BackendException> RefusedAsync(ScriptedWebServer server)
        => Assert.ThrowsAsync<BackendException>(async () => await OpenAsync(server));

    private static Task<BackendException> FailsAsync(IBackend backend)
        => Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(0, new byte[100]));

    private static async Task ChangedAsync(IBackend backend)
    {
        var error = await FailsAsync(backend);
        Assert.Contains("was changed while it was open", error.Message);
        Assert.False(error.IsTransient);
    }
}
