using Farspan.Cli.Mounting;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Mounting;

public sealed class MountInquiryTests
{
    [Fact(Timeout = 60_000)]
    public async Task ProcessThatListensNoMore_IsClosing()
    {
        using var directory = new TemporaryDirectory();
        var record = MountRecord.Create(directory.Path, directory["f"], directory["f"], "memory:1MiB");
        Assert.Equal("closing", (await MountInquiry.AskAsync(record, CancellationToken.None)).State);
    }

    // As when an unmount is over between the looking for the mount and the asking.
    [Fact(Timeout = 60_000)]
    public async Task ProcessThatTakesNoMoreCallers_IsFoundByNobody_AndThoseItLetInAreAnswered()
    {
        using var directory = new TemporaryDirectory();
        var record = MountRecord.Create(directory.Path, directory["f"], directory["f"], "memory:1MiB");
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        int asked = 0;
        var server = ControlServer.Start(record.ControlSocket, async _ =>
        {
            Interlocked.Increment(ref asked);
            await go.Task;
            return new ControlReply { Status = MountReport.Of(record, "open") };
        });
        var callers = new List<Task<ControlReply?>>();
        for (int i = 1; i <= 16; i++)
        {
            callers.Add(AskAsync(record));
            while (Volatile.Read(ref asked) < i)
                await Task.Delay(5);
        }

        Assert.Null(await AskAsync(record));
        var ending = server.DisposeAsync();
        Assert.False(ending.IsCompleted);
        var late = AskAsync(record);
        go.SetResult();
        await ending;
        Assert.Null(await late);
        Assert.All(await Task.WhenAll(callers), reply => Assert.Equal("open", reply!.Status!.State));
        Assert.Null(await AskAsync(record));
    }

    private static Task<ControlReply?> AskAsync(MountRecord record)
        => ControlServer.AskAsync(record.ControlSocket, new ControlRequest(ControlRequest.Status), CancellationToken.None);
}
