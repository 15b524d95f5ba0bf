using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.Linux.Userfaults.Agents;
using Farspan.Mounts;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>Clients that drop pages of their own file: nobody wrote the zeroes that are there then, and none may be saved. And what a closed region leaves.</summary>
public sealed class AgentHoleTests
{
    private const int Page = 4096;
    private const int Length = 1 << 20;

    private static UserfaultAgentOptions Options => AgentWorld.Small with { SaveInterval = TimeSpan.FromDays(1) };

    [RequiresFact("userfault")]
    public async Task PageThatWasWrittenAndDropped_IsNotSaved_AndTheOthersAre()
    {
        await using var world = new AgentWorld(options: Options);
        using var client = new RawClient(world.Socket);
        var file = client.NewFile(Length);
        nint address = Map(client, file);
        Write(address + 5, 1);
        Write(address + Page + 5, 2);
        Punch(file, 0, Page);
        client.Send(AgentMessage.Flush, []);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        byte[] expected = world.Bytes[..(2 * Page)];
        expected[Page + 5] = 2;
        Assert.Equal(expected, world.Stored(0, 2 * Page));
    }

    // What a save failed for is saved as a whole, written or not.
    [RequiresFact("userfault")]
    public async Task PageThatWasDroppedSinceASaveFailed_IsAnError_AndNotZeroes()
    {
        var world = new AgentWorld(options: Options);
        using (var client = new RawClient(world.Socket))
        {
            var file = client.NewFile(Length);
            nint address = Map(client, file);
            Write(address + 5, 1);
            world.Faulty.Fail(FaultKind.Write);
            client.Send(AgentMessage.Flush, []);
            Assert.Contains("The test fails every Write", client.Receive().Text, StringComparison.Ordinal);
            Punch(file, Page, Page);
            world.Faulty.Heal();
            client.Send(AgentMessage.Flush, []);
            Assert.Contains("has dropped some", client.Receive().Text, StringComparison.Ordinal);
            Assert.Equal(world.Bytes[Page..(2 * Page)], world.Stored(Page, Page));
        }

        Assert.True((await world.GoneAsync(1)).LostBytes > 0);
        Assert.Equal(world.Bytes[Page..(2 * Page)], world.Stored(Page, Page));
        await Assert.ThrowsAsync<MountException>(() => world.DisposeAsync().AsTask());
    }

    // Whoever keeps no descriptor would read zeroes there.
    [RequiresFact("userfault", "userfault:POISON", "root")]
    public async Task Closed_LeavesPoison_WhereNothingIs()
    {
        await using var world = new AgentWorld(options: Options);
        using var client = new RawClient(world.Socket);
        using var sink = new SafeDescriptor(Libc.Open("/dev/random", Libc.O_WRONLY | Libc.O_CLOEXEC, 0));
        client.SendHello();
        var file = client.NewFile(Length);
        nint address = client.Map(file, Length);
        using (var faults = UserfaultDescriptor.OpenNew())
            client.SendMap(address, 0, Length, isWritable: true, faults, file);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        client.Send(AgentMessage.Close, []);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        Assert.Equal(Errno.Ok, Give(sink, address));
        Assert.Equal(Errno.EFAULT, Give(sink, address + 500_000));
        Assert.Equal(Errno.EFAULT, Give(sink, address + Length - 1));
    }

    private static nint Map(RawClient client, SafeDescriptor file)
    {
        client.SendHello();
        nint address = client.Map(file, Length);
        client.SendMap(address, 0, Length, isWritable: true, client.NewFaults(), file);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        return address;
    }

    private static void Punch(SafeDescriptor file, long offset, long length)
        => Assert.Equal(0, Libc.Allocate(file, Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, offset, length));

    private static unsafe void Write(nint address, byte value) => Libc.CopyMemory((void*)address, &value, 1);

    /// <summary>Has the kernel read a byte.</summary>
    private static unsafe Errno Give(SafeDescriptor sink, nint address) => Libc.Write(sink.Number, (byte*)address, 1) == 1 ? Errno.Ok : LinuxError.Last;
}
