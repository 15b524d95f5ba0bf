using Farspan.Linux.Userfaults.Agents;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults.Agents;

[Collection(nameof(AloneInTheProcess))]
public sealed class AgentLeakTests
{
    private const int Length = 64 << 10;

    // Some close, some just go, some are refused; nothing of any of them stays.
    [RequiresFact("userfault")]
    public async Task ManyClients_LeaveNothing()
    {
        int clients = LongRun.Rounds(200);
        await using (var world = new AgentWorld(options: AgentWorld.Small with { SaveInterval = TimeSpan.FromDays(1) }))
        {
            for (int round = 0; round < clients; round++)
            {
                if (round % 4 == 3)
                {
                    using var client = new RawClient(world.Socket);
                    client.SendHello();
                    var file = client.NewFile(1 << 20);
                    bool isRefused = round % 8 == 7;
                    client.SendMap(isRefused ? 4096 : client.Map(file, 1 << 20), 0, 1 << 20, isWritable: false, client.NewFaults(), file);
                    Assert.Equal(!isRefused, client.Receive().Status == AgentStatus.Done);
                    continue;
                }

                // The last one may still be on its way out, and what one writes nobody else may map.
                if (round % 4 == 0)
                    await Eventually.HoldsAsync(() => Left("memfd:test") == 0);
                long offset = round % 16 * 65536L;
                await using var memory = await world.MapAsync(new AgentMemoryOptions { ReadOnly = round % 4 > 0, Offset = offset });
                Assert.Equal(memory.IsReadOnly ? world.Stored(offset, 1)[0] : world.Bytes[offset], AgentWorld.Touch(memory, 0));
                if (!memory.IsReadOnly)
                    AgentWorld.Write(memory, 1, [1]);
            }

            await Eventually.HoldsAsync(() => Left("userfaultfd") + Left("memfd:farspan") + Left("memfd:test") + Threads() == 0);
        }

        static int Threads() => Directory.GetDirectories("/proc/self/task").Count(task => Name(task) is var name
            && (name.StartsWith("fault", StringComparison.Ordinal) || name.StartsWith("agent", StringComparison.Ordinal)));

        static string Name(string task)
        {
            try
            {
                return File.ReadAllText($"{task}/comm");
            }
            catch (IOException)
            {
                // It has ended.
                return "";
            }
        }
    }

    // Not when the collector finds them: a client that is refused all day would have the agent run out of them.
    [RequiresFact("userfault")]
    public async Task DescriptorsThatAreRefused_AreClosedAtOnce()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        int before = Left("userfaultfd") + Left("memfd:test");
        Assert.True(GC.TryStartNoGCRegion(16 << 20));
        try
        {
            foreach (string kind in (string[])["not mapped", "not wanted", "too early", "too many"])
            {
                using var client = new RawClient(world.Socket);
                if (kind != "too early")
                    client.SendHello();
                var (faults, file) = (client.NewFaults(), client.NewFile(Length));
                switch (kind)
                {
                    case "not mapped":
                        client.SendMap(4096, 0, Length, isWritable: false, faults, file);
                        break;
                    case "not wanted":
                        client.Send(AgentMessage.Flush, [], faults, file);
                        break;
                    case "too many":
                        client.SendMap(4096, 0, Length, isWritable: false, faults, file, file, file, file, file);
                        break;
                    default:
                        client.SendMap(client.Map(file, Length), 0, Length, isWritable: false, faults, file);
                        break;
                }

                Assert.NotEqual(AgentStatus.Done, client.Receive().Status);
            }

            await Eventually.HoldsAsync(() => Left("userfaultfd") + Left("memfd:test") <= before);
        }
        finally
        {
            // Throws where there was a collection after all.
            GC.EndNoGCRegion();
        }
    }

    private static int Left(string kind) => OwnDescriptors.Targets().Count(target => target.Contains(kind, StringComparison.Ordinal));
}
