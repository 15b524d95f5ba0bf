using Farspan.Backends;
using Farspan.Cli.Serving;
using Farspan.TestKit;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Farspan.Cli.Tests.Serving;

public sealed class BackendServiceTests
{
    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task LastFlushOrCloseThatNeverEnds_IsGivenUp_WithOneLineThatSaysWhatMayBeLost(bool isFlush)
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(1 << 20);
        var never = new TaskCompletionSource();
        var backend = new TroubledBackend(memory)
        {
            OnFlush = () => isFlush ? never.Task : Task.CompletedTask,
            OnDispose = () => isFlush ? Task.CompletedTask : never.Task,
        };
        using var output = new StringWriter();
        using var stop = new CancellationTokenSource();
        var settings = new ServeSettings
        {
            Backend = "troubled:",
            Exports = new ExportSettings { Listen = [ListenUri.Parse($"nbd+unix:///?socket={directory["s"]}")] },
            CloseTimeout = TimeSpan.FromMilliseconds(100),
        };
        await stop.CancelAsync();
        var failure = await Assert.ThrowsAsync<CommandException>(
            () => new BackendService(settings, new ServeOutput(output, json: false), NullLogger.Instance).RunAsync(backend.Registry(), stop.Token));
        Assert.Contains("was not flushed and closed within 0.1 s", failure.Message, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Failed, failure.ExitCode);
        Assert.DoesNotContain("everything is flushed", output.ToString(), StringComparison.Ordinal);
        never.SetResult();
    }

    [Fact(Timeout = 60_000)]
    public async Task LastFlushThatFails_IsTheErrorAsItIs()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(1 << 20);
        var backend = new TroubledBackend(memory) { OnFlush = () => throw new BackendException(BackendError.InputOutput, "The disk is broken.") };
        using var output = new StringWriter();
        using var stop = new CancellationTokenSource();
        await stop.CancelAsync();
        var settings = new ServeSettings
        {
            Backend = "troubled:",
            Exports = new ExportSettings { Listen = [ListenUri.Parse($"nbd+unix:///?socket={directory["s"]}")] },
        };
        var failure = await Assert.ThrowsAsync<BackendException>(
            () => new BackendService(settings, new ServeOutput(output, json: false), NullLogger.Instance).RunAsync(backend.Registry(), stop.Token));
        Assert.Equal("The disk is broken.", failure.Message);
    }
}
