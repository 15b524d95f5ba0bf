using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults.Agents;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>What becomes of a region when something fails or a side ends.</summary>
public sealed class AgentLifetimeTests
{
    [RequiresFact("userfault")]
    public async Task SpansOverAllOfIt_UnderConstantCollections_NeverHang()
    {
        await using var world = new AgentWorld(8 << 20, AgentWorld.Small with { ChunkSize = 4096, ResidentLimit = 1 << 20, SaveInterval = TimeSpan.FromMilliseconds(50) });
        string said = await PeerProcess.RunOkAsync(FuseHost.Program, ["--use-agent", world.Socket, "3"], TimeSpan.FromSeconds(90));
        Assert.StartsWith("using\nused ", said, StringComparison.Ordinal);
        Assert.Equal(0, (await world.GoneAsync(1)).LostBytes);
    }

    [RequiresFact("userfault", "userfault:POISON")]
    public async Task WhatCannotBeBrought_EndsTheToucher_AndNobodyElse()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        await using var client = await AgentClient.StartAsync(world.Socket);
        Assert.Equal($"{world.Bytes[5]}", await client.AskAsync("read 5"));
        world.Faulty.Fail(FaultKind.Read);
        Assert.Contains("The test fails every Read", await client.AskAsync("prefetch 100000 1"), StringComparison.Ordinal);
        Assert.InRange(await client.DieOfAsync("read 100000"), 128, 255);
        world.Faulty.Heal();
        await using var next = await AgentClient.StartAsync(world.Socket);
        Assert.Equal($"{world.Bytes[100_000]}", await next.AskAsync("read 100000"));
    }

    // A kernel that copies from memory meets the same poison, and survives it.
    [RequiresFact("userfault", "userfault:POISON", "root")]
    public async Task WhatCouldNotBeBrought_IsAskedForAgain_WithAPrefetch()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        await using var memory = await world.MapAsync();
        using var sink = new SafeDescriptor(Libc.Open("/dev/random", Libc.O_WRONLY | Libc.O_CLOEXEC, 0));
        world.Faulty.Fail(FaultKind.Read);
        Assert.Equal(Errno.EFAULT, Give(sink, memory, 100_000));
        world.Faulty.Heal();
        Assert.Equal(Errno.EFAULT, Give(sink, memory, 100_000));
        try
        {
            await memory.PrefetchAsync(0, memory.Length);
        }
        catch (BackendException)
        {
            // It met the read that had failed, which had woken the toucher and not quite ended.
            await memory.PrefetchAsync(0, memory.Length);
        }

        Assert.Equal(Errno.Ok, Give(sink, memory, 100_000));
        Assert.Equal(world.Bytes[100_000], AgentWorld.Touch(memory, 100_000));
    }

    [RequiresFact("userfault")]
    public async Task KilledClient_HasWhatItWroteSaved_FlushedOrNot()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small with { SaveInterval = TimeSpan.FromDays(1) });
        await using (var client = await AgentClient.StartAsync(world.Socket))
        {
            await client.AskAsync("write 5000 1");
            Assert.Equal("flushed", await client.AskAsync("flush"));
            Assert.Equal([1], world.Stored(5000, 1));
            await client.AskAsync("write 5000 2");
            await client.AskAsync("write 700000 3");
            Assert.Equal([1], world.Stored(5000, 1));
            await client.Process.SignalAsync("KILL");
            await client.Process.WaitForExitAsync(TimeSpan.FromSeconds(60));
        }

        var gone = await world.GoneAsync(1);
        Assert.Equal(0, gone.LostBytes);
        Assert.Equal("It ended the connection without closing.", gone.Error);
        byte[] expected = [.. world.Bytes];
        expected[5000] = 2;
        expected[700_000] = 3;
        Assert.Equal(expected, world.Stored(0, expected.Length));
        await using var next = await AgentClient.StartAsync(world.Socket);
        Assert.Equal("3", await next.AskAsync("read 700000"));
    }

    [RequiresFact("userfault")]
    public async Task AgentThatEnds_SavesFirst_AndTouchesNeverReadZeroes()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small with { SaveInterval = TimeSpan.FromDays(1) });
        await using var client = await AgentClient.StartAsync(world.Socket);
        await client.AskAsync("write 5000 1");
        await world.StopAsync();
        Assert.Equal([1], world.Stored(5000, 1));
        Assert.Equal("lost: The agent ends.", await client.AskAsync("lost"));
        Assert.Contains("The agent ends.", await client.AskAsync("flush"), StringComparison.Ordinal);
        Assert.InRange(await client.DieOfAsync("read 900000"), 128, 255);
    }

    // A client that does not look at the socket, and does not even keep its descriptor.
    [RequiresFact("userfault", "userfault:POISON", "root")]
    public async Task AgentThatEnds_LeavesPoison_WhereNothingIs()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        using var client = new RawClient(world.Socket);
        using var sink = new SafeDescriptor(Libc.Open("/dev/random", Libc.O_WRONLY | Libc.O_CLOEXEC, 0));
        client.SendHello();
        var file = client.NewFile(1 << 20);
        nint address = client.Map(file, 1 << 20);
        using (var faults = Farspan.Linux.Userfaults.UserfaultDescriptor.OpenNew())
            client.SendMap(address, 0, 1 << 20, isWritable: true, faults, file);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        await world.StopAsync();
        Assert.Equal("The agent ends.", client.Receive().Text);
        Assert.Equal(Errno.Ok, Give(sink, address));
        Assert.Equal(Errno.EFAULT, Give(sink, address + 500_000));
        Assert.Equal(Errno.EFAULT, Give(sink, address + (1 << 20) - 1));
    }

    [RequiresFact("userfault")]
    public async Task Closed_IsTheClientsOwn()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        using var client = new RawClient(world.Socket);
        client.SendHello();
        var file = client.NewFile(1 << 20);
        nint address = client.Map(file, 1 << 20);
        client.SendMap(address, 0, 1 << 20, isWritable: true, client.NewFaults(), file);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        Write(address, 7);
        client.Send(AgentMessage.Close, []);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        Assert.Equal([7], world.Stored(0, 1));

        // Nobody waits for these writes, and nobody saves them.
        Write(address, 8);
        Assert.Equal([7], world.Stored(0, 1));
    }

    private static unsafe void Write(nint address, byte value) => Libc.CopyMemory((void*)address, &value, 1);

    private static Errno Give(SafeDescriptor sink, AgentMemory memory, long offset) => Give(sink, memory.Address + (nint)offset);

    /// <summary>Has the kernel read a byte.</summary>
    private static unsafe Errno Give(SafeDescriptor sink, nint address) => Libc.Write(sink.Number, (byte*)address, 1) == 1 ? Errno.Ok : LinuxError.Last;
}
