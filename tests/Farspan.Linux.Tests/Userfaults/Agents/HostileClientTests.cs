using System.Net.Sockets;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.Linux.Userfaults.Agents;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>Clients that do what they should not get one line, and the agent serves the next one.</summary>
public sealed class HostileClientTests
{
    private const int Length = 64 << 10;

    public static TheoryData<string, string> Wrongs => new()
    {
        { "no hello", "first message has to be a hello" },
        { "magic", "no message of the agent's protocol" },
        { "long body", "no message of the agent's protocol" },
        { "wrong body", "and 24 are announced" },
        { "unknown", "no request 99" },
        { "status", "no request 3" },
        { "version", "speaks version 1" },
        { "two hellos", "a hello before" },
        { "no descriptors", "there were 0" },
        { "one descriptor", "there were 1" },
        { "three descriptors", "there were 3" },
        { "many descriptors", "More than 4 descriptors" },
        { "descriptors with a flush", "there were 2" },
        { "not a userfault descriptor", "no userfault descriptor" },
        { "swapped", "no file of shared memory" },
        { "a file on a disk", "no file of shared memory" },
        { "read-only file", "not open for reading and writing" },
        { "short file", "are to be mapped" },
        { "agreed before", "has agreed with the kernel before" },
        { "other memory", "not mapped at" },
        { "no memory", "UFFDIO_REGISTER" },
        { "odd address", "multiples of" },
        { "odd offset", "multiples of" },
        { "beyond the end", "not inside the backend" },
        { "negative", "not inside the backend" },
        { "nothing", "not inside the backend" },
        { "flush before map", "No memory is mapped yet" },
        { "map twice", "one region for each connection" },
        { "prefetch outside", "not inside the region" },
    };

    [RequiresTheory("userfault")]
    [MemberData(nameof(Wrongs))]
    public async Task Wrong_IsAnsweredInOneLine_AndTheNextIsServed(string kind, string said)
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        using (var client = new RawClient(world.Socket))
        {
            Do(client, kind);
            var answer = client.Receive();
            Assert.NotEqual(AgentStatus.Done, answer.Status);
            Assert.Contains(said, answer.Text, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', answer.Text);
        }

        await using var memory = await world.MapAsync();
        Assert.Equal(world.Bytes[77_777], AgentWorld.Touch(memory, 77_777));
    }

    [RequiresFact("userfault")]
    public async Task MapThatWasRefused_CanBePutRight()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        using var client = new RawClient(world.Socket);
        Do(client, "other memory");
        Assert.Equal(AgentStatus.Invalid, client.Receive().Status);
        Map(client, Length);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
    }

    // Bytes that are nearly right, with descriptors or without, in pieces, ended anywhere.
    [RequiresFact("userfault")]
    public async Task AnyBytes_AndAnyDescriptors_LeaveTheAgentServing()
    {
        int rounds = LongRun.IsAskedFor ? 20_000 : 300;
        await using var world = new AgentWorld(options: AgentWorld.Small);
        var random = new Random(3);
        byte[] bytes = new byte[64];
        for (int round = 0; round < rounds; round++)
        {
            using var client = new RawClient(world.Socket);
            try
            {
                if (random.Next(3) > 0)
                    client.SendHello();
                for (int messages = random.Next(4); messages > 0; messages--)
                {
                    random.NextBytes(bytes);
                    var message = (AgentMessage)random.Next(9);
                    byte[] sent = RawClient.Message(message, bytes.AsSpan(0, random.Next(2) == 0 ? AgentRequest.BodyOf(message) ?? 0 : random.Next(bytes.Length)));
                    if (random.Next(4) == 0)
                        sent[random.Next(sent.Length)] ^= (byte)(1 << random.Next(8));
                    int cut = random.Next(3) == 0 ? random.Next(1, sent.Length) : sent.Length;
                    SafeDescriptor[] descriptors = [.. Enumerable.Range(0, random.Next(4)).Select(_ => random.Next(2) == 0 ? client.NewFaults() : client.NewFile(Length))];
                    client.Send(sent.AsSpan(0, cut), descriptors);
                    if (cut < sent.Length && random.Next(2) == 0)
                        client.Send(sent.AsSpan(cut));
                }

                if (random.Next(2) == 0)
                {
                    client.EndSending();
                    while (client.Receive().Message != AgentMessage.Ended)
                    {
                    }
                }
            }
            catch (Exception error) when (error is SocketException or Farspan.Backends.BackendException)
            {
                // The agent has closed the connection meanwhile.
            }
        }

        await using var memory = await world.MapAsync();
        Assert.Equal(world.Bytes[77_777], AgentWorld.Touch(memory, 77_777));
    }

    [RequiresFact("userfault")]
    public async Task SilentClient_IsSentAway_AndOneThatMappedStays()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small with { HandshakeTimeout = TimeSpan.FromMilliseconds(200) });
        await using var memory = await world.MapAsync();
        using var client = new RawClient(world.Socket);
        client.SendHello();
        Assert.Contains("within 0.2 s", client.Receive().Text, StringComparison.Ordinal);
        Assert.Equal(world.Bytes[0], AgentWorld.Touch(memory, 0));
    }

    [RequiresFact("userfault")]
    public async Task Limits_AreKept()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small with { MaximumClients = 2, MaximumBytes = Length });
        using var first = new RawClient(world.Socket);
        first.SendHello();
        Map(first, Length + 4096);
        Assert.Contains("may map 65536 bytes", first.Receive().Text, StringComparison.Ordinal);
        Map(first, Length);
        Assert.Equal(AgentStatus.Done, first.Receive().Status);
        using (var second = new RawClient(world.Socket))
        {
            second.SendHello();
            using var third = new RawClient(world.Socket);
            Assert.Contains("There are 2 clients", third.Receive().Text, StringComparison.Ordinal);
        }

        await Eventually.HoldsAsync(() =>
        {
            using var next = new RawClient(world.Socket);
            next.Send(AgentMessage.Flush, []);
            return next.Receive().Status == AgentStatus.Protocol;
        });
    }

    // A client keeps the descriptor that it sent, and could have the agent's reads of it wait for ever.
    [RequiresFact("userfault")]
    public async Task ClientThatChangesItsDescriptorsFlags_DoesNotHoldTheAgent()
    {
        await using var world = new AgentWorld(options: AgentWorld.Small);
        using var client = new RawClient(world.Socket);
        client.SendHello();
        var faults = client.NewFaults();
        var file = client.NewFile(Length);
        client.SendMap(client.Map(file, Length), 0, Length, isWritable: true, faults, file);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        Assert.Equal(0, Libc.Fcntl(faults.Number, Libc.F_SETFL, 0));

        client.Send(AgentMessage.Prefetch, new byte[AgentRange.Size]);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        client.Send(AgentMessage.Close, []);
        Assert.Equal(AgentStatus.Done, client.Receive().Status);
        await world.GoneAsync(1);
    }

    [RequiresFact("userfault", "root", "setpriv", "/usr/bin/python3")]
    public async Task OtherUsers_AreRefused_UnlessTheyAreAllowed()
    {
        const string connect = """
            import socket, sys
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(sys.argv[1])
            except PermissionError:
                print("no permission"); sys.exit()
            try:
                s.sendall(bytes.fromhex("46537561010000000100000008000000" "0100010000000000"))
            except BrokenPipeError:
                pass # Sent away before that; what it was told is there to be read.
            answer = s.recv(4096)
            print(answer[4:8].hex(), answer[16:].decode("utf-8", "replace") if answer[6] else "")
            """;
        await using (var world = new AgentWorld())
            Assert.Equal("no permission\n", await AskAsync(world, 65534));
        await using var open = new AgentWorld(options: new UserfaultAgentOptions { AllowedUsers = [65534] });
        Assert.StartsWith("01800000", await AskAsync(open, 65534), StringComparison.Ordinal);
        Assert.Equal("07000200 User 65533 may not use this agent; it can be allowed with --allow.\n", await AskAsync(open, 65533));

        static async Task<string> AskAsync(AgentWorld world, int user)
        {
            File.SetUnixFileMode(Path.GetDirectoryName(world.Socket)!, (UnixFileMode)0x1FF);
            return await PeerProcess.RunOkAsync(
                "setpriv", [$"--reuid={user}", $"--regid={user}", "--clear-groups", "/usr/bin/python3", "-c", connect, world.Socket]);
        }
    }

    private static void Map(RawClient client, int length)
    {
        var file = client.NewFile(length);
        client.SendMap(client.Map(file, length), 0, length, isWritable: true, client.NewFaults(), file);
    }

    private static void Do(RawClient client, string kind)
    {
        if (kind is "no hello" or "magic" or "long body" or "version")
        {
            client.Send(kind switch
            {
                "no hello" => RawClient.Message(AgentMessage.Flush, []),
                "magic" => new byte[16],
                "long body" => [.. "FSua"u8, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 127],
                _ => RawClient.Message(AgentMessage.Hello, [2, 0, 3, 0, 0, 0, 0, 0]),
            });
            return;
        }

        client.SendHello();
        var faults = client.NewFaults();
        var file = client.NewFile(Length);
        nint address = client.Map(file, Length);
        switch (kind)
        {
            case "wrong body":
                client.Send(AgentMessage.Map, new byte[24], faults, file);
                break;
            case "unknown":
                client.Send((AgentMessage)99, []);
                break;
            case "status":
                client.Send([.. "FSua"u8, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                break;
            case "two hellos":
                client.Send(AgentMessage.Hello, [1, 0, 1, 0, 0, 0, 0, 0]);
                break;
            case "no descriptors":
                client.SendMap(address, 0, Length, isWritable: true);
                break;
            case "one descriptor":
                client.SendMap(address, 0, Length, isWritable: true, faults);
                break;
            case "three descriptors":
                client.SendMap(address, 0, Length, isWritable: true, faults, file, file);
                break;
            case "many descriptors":
                client.SendMap(address, 0, Length, isWritable: true, faults, file, file, file, file, file, file);
                break;
            case "descriptors with a flush":
                client.Send(AgentMessage.Flush, [], faults, file);
                break;
            case "not a userfault descriptor":
                client.SendMap(address, 0, Length, isWritable: true, file, file);
                break;
            case "swapped":
                client.SendMap(address, 0, Length, isWritable: true, file, faults);
                break;
            case "a file on a disk" or "read-only file":
                using (var other = new SafeDescriptor(Libc.Open(
                    kind == "a file on a disk" ? Environment.ProcessPath! : $"/proc/self/fd/{file.Number}", Libc.O_RDONLY | Libc.O_CLOEXEC, 0)))
                    client.SendMap(address, 0, Length, isWritable: true, faults, other);
                break;
            case "short file":
                client.SendMap(address, 0, Length, isWritable: true, faults, client.NewFile(Length - 4096));
                break;
            case "agreed before":
                using (var agreed = UserfaultDescriptor.Open(UserfaultFeatures.None))
                    client.SendMap(address, 0, Length, isWritable: true, agreed.Descriptor, file);
                break;
            case "other memory":
                client.SendMap(client.Map(client.NewFile(Length), Length), 0, Length, isWritable: true, faults, file);
                break;
            case "no memory":
                client.SendMap(1 << 30, 0, Length, isWritable: true, faults, file);
                break;
            case "odd address":
                client.SendMap(address + 1, 0, Length, isWritable: true, faults, file);
                break;
            case "odd offset":
                client.SendMap(address, 512, Length, isWritable: true, faults, file);
                break;
            case "beyond the end":
                client.SendMap(address, (1 << 20) - 4096, Length, isWritable: true, faults, file);
                break;
            case "negative":
                client.SendMap(address, -4096, Length, isWritable: true, faults, file);
                break;
            case "nothing":
                client.SendMap(address, 0, 0, isWritable: true, faults, file);
                break;
            case "flush before map":
                client.Send(AgentMessage.Flush, []);
                break;
            case "map twice" or "prefetch outside":
                client.SendMap(address, 0, Length, isWritable: true, faults, file);
                Assert.Equal(AgentStatus.Done, client.Receive().Status);
                if (kind == "map twice")
                    client.SendMap(address, 0, Length, isWritable: true, faults, file);
                else
                    client.Send(AgentMessage.Prefetch, [0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
                break;
        }
    }
}
