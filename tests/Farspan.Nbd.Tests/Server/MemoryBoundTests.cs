using System.Collections.Concurrent;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>What clients can make the server hold.</summary>
public sealed class MemoryBoundTests
{
    [Theory(Timeout = 120_000)]
    [InlineData(HeaderForm.Structured)]
    [InlineData(HeaderForm.Extended)]
    public async Task SmallSlowWrites_HoldTheirOwnBytes_AndWaitWhereTheServerHasNoMore(HeaderForm form)
    {
        const int Others = 1 << 20;
        var budget = new ServerBudget(Others);
        using var begun = new BlockingCollection<TaskCompletionSource>();
        long most = 0;
        await using var backend = new ScriptedBackend(1 << 20)
        {
            Before = async (_, _, _, _) =>
            {
                most = Math.Max(most, budget.Bytes - Others);
                var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                begun.Add(end, CancellationToken.None);
                await end.Task;
            },
        };

        // Another client holds all there is: one request is what this one may have at a time.
        budget.Add(Others);
        using var client = new ScriptedClient(Stream.Null) { Form = form };
        byte[] input = [.. Enumerable.Range(0, 2000).SelectMany(i => client.RequestBytes(NbdCommand.Write, (ulong)i * 512, 512, new byte[512]))];
        var session = new InlineSession(backend, budget: budget);
        var ender = Task.Factory.StartNew(
            () =>
            {
                foreach (var end in begun.GetConsumingEnumerable())
                {
                    Thread.Yield();
                    most = Math.Max(most, budget.Bytes - Others);
                    end.SetResult();
                }
            },
            TaskCreationOptions.LongRunning);
        await Task.Factory.StartNew(() => session.Run(input, form, beforeEnd: session.WaitUntilIdle), TaskCreationOptions.LongRunning);
        begun.CompleteAdding();
        await ender;
        Assert.Equal(2000, backend.Calls.Count);
        Assert.InRange(most, 0, 4096);
    }

    [Fact(Timeout = 120_000)]
    public async Task BlockStatusReplies_ThatAreNotTaken_Count()
    {
        await using var backend = new ScriptedBackend(4096, typeof(IExtentSource))
        {
            ClaimedLength = 1L << 32,
            Extents = (offset, length) => Enumerable.Range(0, 100_000).Select(i => new Extent(offset + (i * 512), 512, (ExtentKind)(i % 2 * 3))),
        };
        await using var harness = new ServerHarness(backend, new NbdServerOptions { MaximumBytesInFlight = 4 << 20 });
        var client = harness.Connect();
        client.Go(HeaderForm.Extended, contexts: true);
        for (int i = 0; i < 200; i++)
            client.SendRequest(NbdCommand.BlockStatus, 0, 1UL << 32);
        while (harness.Server.BytesInFlight < (4 << 20) - (256 << 10))
            await Task.Delay(5);
        Assert.InRange(backend.Calls.Count, 10, 100);
        for (int i = 0; i < 200; i++)
            Assert.InRange(client.ReadReply().Extents.Count, 1000, 4095);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(HeaderForm.Simple)]
    [InlineData(HeaderForm.Structured)]
    [InlineData(HeaderForm.Extended)]
    public async Task NoMemoryForALargeBuffer_IsAnErrorOfThatRequest_AndTheConnectionGoesOn(HeaderForm form)
    {
        const int Large = 2 << 20;
        await using var backend = new ScriptedBackend(Large);
        var pool = new BufferPool(static capacity => new byte[capacity > 512 << 10 ? int.MaxValue : capacity]);
        var session = new InlineSession(backend, 4 << 20, pool: pool);
        using var client = new ScriptedClient(Stream.Null) { Form = form };
        byte[] small = [.. Enumerable.Repeat((byte)7, 4096)];
        byte[] input =
        [
            .. client.RequestBytes(NbdCommand.Read, 0, Large), .. client.RequestBytes(NbdCommand.Read, 0, Large, flags: NbdCommandFlags.Df),
            .. client.RequestBytes(NbdCommand.Write, 0, Large, new byte[Large]), .. client.RequestBytes(NbdCommand.Cache, 0, Large),
            .. client.RequestBytes(NbdCommand.Write, 4096, 4096, small), .. client.RequestBytes(NbdCommand.Read, 4096, 4096),
        ];
        session.Run(input, form);
        using var replies = new ScriptedClient(new MemoryStream(session.Channel.Output!.ToArray())) { Form = form };
        for (int i = 0; i < 4; i++)
            Assert.Equal(form == HeaderForm.Simple && i == 1 ? NbdErrno.Inval : NbdErrno.NoMem, replies.ReadReply().Error);
        Assert.Equal(NbdErrno.Ok, replies.ReadReply().Error);
        Assert.Equal(small, replies.ReadReply(_ => 4096).Data(4096, 4096));
    }

    [Fact]
    public void ServersBytes_AreNotTakenTwice_ByThoseWhoSeeTheSameRoom()
    {
        var budget = new ServerBudget(1000);
        Parallel.For(0, 64, new ParallelOptions { MaxDegreeOfParallelism = 8 }, _ =>
        {
            for (int i = 0; i < 1000; i++)
            {
                if (!budget.TryAdd(400))
                    continue;
                Assert.InRange(budget.Bytes, 400, 800);
                budget.Add(-400);
            }
        });
        Assert.Equal(0, budget.Bytes);
    }
}
