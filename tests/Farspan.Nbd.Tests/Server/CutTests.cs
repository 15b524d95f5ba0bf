using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>A valid stream of both phases, cut, stalled or dripped at every byte, from either side.</summary>
public sealed class CutTests
{
    private const int Size = 1 << 20;

    public static TheoryData<HeaderForm, bool> Forms() => TransmissionPhaseTests.Forms();

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task ClientGone_AfterEveryByteItSends_HarmsNothing(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size), new NbdServerOptions { MaximumConnections = 4000 });
        byte[] stream = Stream(form);
        for (int cut = 0; cut <= stream.Length; cut++)
        {
            using var client = harness.Connect(overSocket);
            client.Send(stream.AsSpan(0, cut));
        }

        await harness.ClientsGoneAsync();
        CheckAlive(harness);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task ClientThatEndsItsSide_AfterEveryByte_StillGetsItsReplies(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size), new NbdServerOptions { MaximumConnections = 4000 });
        byte[] stream = Stream(form);
        byte[] all = Converse(harness, stream, stream.Length, overSocket);
        int longest = 0;
        for (int cut = 0; cut <= stream.Length; cut++)
        {
            byte[] replies = Converse(harness, stream, cut, overSocket);
            Assert.True(all.AsSpan(0, replies.Length).SequenceEqual(replies), $"cut at {cut}");
            longest = Math.Max(longest, replies.Length);
        }

        Assert.Equal(all.Length, longest);
        CheckAlive(harness);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task ClientGone_AfterEveryByteItReceives_HarmsNothing(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size), new NbdServerOptions { MaximumConnections = 4000 });
        byte[] stream = Stream(form);
        int length = Converse(harness, stream, stream.Length, overSocket).Length;
        for (int cut = 0; cut <= length; cut++)
        {
            using var client = harness.Connect(overSocket);
            client.Send(stream);
            client.Receive(cut);
        }

        await harness.ClientsGoneAsync();
        CheckAlive(harness);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(HeaderForm.Structured, true)]
    [InlineData(HeaderForm.Extended, false)]
    public async Task ClientThatStalls_AfterEveryByte_IsDroppedInTime(HeaderForm form, bool overSocket)
    {
        var limit = TimeSpan.FromMilliseconds(500);
        await using var harness = new ServerHarness(
            new MemoryBackend(Size),
            new NbdServerOptions { MaximumConnections = 4000, HandshakeTimeout = limit, StallTimeout = limit, IdleTimeout = limit });
        byte[] stream = Stream(form);
        for (int cut = 0; cut < stream.Length; cut++)
        {
            try
            {
                harness.Connect(overSocket).Send(stream.AsSpan(0, cut));
            }
            catch (IOException)
            {
                // Dropped while this machine was too busy for us to send.
            }
        }

        await harness.ClientsGoneAsync();
        Assert.Equal(0, harness.Server.ConnectionCount);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task BytesThatComeOneByOne_GetTheSameReplies(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        byte[] stream = Stream(form);
        byte[] all = Converse(harness, stream, stream.Length, overSocket);
        using var client = harness.Connect(overSocket);
        foreach (byte one in stream)
            client.Send(one);
        Assert.Equal(Convert.ToHexString(all), Convert.ToHexString(client.Receive(all.Length)));
        client.AssertClosed();
    }

    private static byte[] Converse(ServerHarness harness, byte[] stream, int length, bool overSocket)
    {
        using var client = harness.Connect(overSocket);
        client.Send(stream.AsSpan(0, length));
        if (client.Stream is NetworkStream network)
            network.Socket.Shutdown(SocketShutdown.Send);
        else
            ((MemoryDuplex)client.Stream).FinishSending();
        using var replies = new MemoryStream();
        client.Stream.CopyTo(replies);
        return replies.ToArray();
    }

    private static void CheckAlive(ServerHarness harness)
    {
        using var client = harness.Connect();
        client.Go();
        Assert.Equal(NbdErrno.Ok, client.Read(0, 4096, out _));
    }

    /// <summary>Everything a client can say, once.</summary>
    internal static byte[] Stream(HeaderForm form)
    {
        using var client = new ScriptedClient(System.IO.Stream.Null) { Form = form };
        byte[] contexts = ScriptedClient.ContextData("", "base:allocation");
        List<byte[]> parts =
        [
            [0, 0, 0, 3],
            ScriptedClient.OptionBytes(NbdOption.List),
            ScriptedClient.OptionBytes((NbdOption)99, 1, 2, 3),
            .. form == HeaderForm.Simple ? Array.Empty<byte[]>() :
            [
                ScriptedClient.OptionBytes(form == HeaderForm.Extended ? NbdOption.ExtendedHeaders : NbdOption.StructuredReply),
                ScriptedClient.OptionBytes(NbdOption.ListMetaContext, contexts),
                ScriptedClient.OptionBytes(NbdOption.SetMetaContext, contexts),
            ],
            ScriptedClient.OptionBytes(NbdOption.Info, ScriptedClient.InfoData("", NbdInfo.Name, NbdInfo.Description)),
            ScriptedClient.OptionBytes(NbdOption.Go, ScriptedClient.InfoData("", NbdInfo.BlockSize)),
            client.RequestBytes(NbdCommand.Write, 10, 20, new byte[20]),
            client.RequestBytes(NbdCommand.Read, 0, 40),
            client.RequestBytes(NbdCommand.WriteZeroes, 0, 8192, flags: NbdCommandFlags.Fua),
            client.RequestBytes(NbdCommand.Trim, 0, 8192),
            client.RequestBytes(NbdCommand.Cache, 0, 8192),
            client.RequestBytes(NbdCommand.Flush, 0, 0),
            client.RequestBytes(NbdCommand.Read, Size, 1),
            .. form == HeaderForm.Simple ? Array.Empty<byte[]>() : [client.RequestBytes(NbdCommand.BlockStatus, 0, Size)],
            client.RequestBytes(NbdCommand.Disconnect, 0, 0),
        ];
        return [.. parts.SelectMany(p => p)];
    }
}
