using System.Buffers.Binary;
using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Farspan.Nbd.Tests.Server;
using Farspan.TestKit.Transports;
using Xunit;

namespace Farspan.Nbd.Tests.Fuzzing;

/// <summary>
/// The server's two parsers over changed streams: no unhandled exception, no hang, nothing left in flight, and whatever comes back is well
/// formed. An oracle that shares no code with the server counts the replies.
/// </summary>
public sealed class ServerFuzzTests
{
    private const int Size = 256 << 10;

    [Theory(Timeout = 600_000)]
    [InlineData(HeaderForm.Simple)]
    [InlineData(HeaderForm.Structured)]
    [InlineData(HeaderForm.Extended)]
    public async Task TransmissionPhase_SurvivesAnything(HeaderForm form)
    {
        await using var memory = new MemoryBackend(Size);
        var session = new InlineSession(memory);
        var mutator = new Mutator(100 + (int)form);
        int cases = Mutator.Cases(100_000);
        for (int done = 0; done < cases;)
        {
            byte[] stream = Requests(mutator, form, out int count);
            done += count;
            session.Channel.LargestReceive = 1 + mutator.Next(mutator.Next(2) == 0 ? 64 : 8192);
            session.Run(stream, form);
            ReplyOracle.Check(session.Channel.Output!.GetBuffer().AsSpan(0, (int)session.Channel.Output.Length), stream, form);
        }
    }

    [Theory(Timeout = 600_000)]
    [InlineData(HeaderForm.Simple)]
    [InlineData(HeaderForm.Structured)]
    [InlineData(HeaderForm.Extended)]
    public async Task TransmissionPhase_SurvivesAnything_WhereTheBackendFailsAtRandom(HeaderForm form)
    {
        var mutator = new Mutator(200 + (int)form);
        await using var backend = new ScriptedBackend(Size, typeof(ITrim), typeof(IZero), typeof(IExtentSource))
        {
            Extents = (offset, length) => mutator.Next(4) == 0
                ? [new Extent(offset + mutator.Next(2), length - mutator.Next(3), (ExtentKind)mutator.Next(5))]
                : [new Extent(offset, length, (ExtentKind)mutator.Next(4))],
            Before = (_, _, _, _) => mutator.Next(5) == 0 ? throw new BackendException((BackendError)mutator.Next(13), "chance") : default,
        };
        var session = new InlineSession(backend);
        int cases = Mutator.Cases(40_000);
        for (int done = 0; done < cases;)
        {
            byte[] stream = Requests(mutator, form, out int count);
            done += count;
            backend.Calls.Clear();
            session.Run(stream, form);
            ReplyOracle.Check(session.Channel.Output!.GetBuffer().AsSpan(0, (int)session.Channel.Output.Length), stream, form);
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task OptionPhase_SurvivesAnything()
    {
        await using var memory = new MemoryBackend(Size);
        var exports = new ExportTable([new NbdExport { Name = "a", Description = "d", Backend = memory }, new NbdExport { Name = "bb", Backend = memory }], 1 << 20);
        var mutator = new Mutator(300);
        var channel = new ArrayChannel();
        int cases = Mutator.Cases(200_000);
        for (int done = 0; done < cases;)
        {
            byte[] stream = Options(mutator, out int count);
            done += count;
            channel.Reset(stream);
            channel.LargestReceive = 1 + mutator.Next(64);
            var handshake = new NbdHandshake(channel, new NbdServerOptions(), exports, () => false, () => throw new InvalidOperationException("no TLS here"));
            var agreed = handshake.Run(out string? reason);
            Assert.True(agreed is null ? reason is not null : agreed.Chosen is not null);
            CheckOptionReplies(channel.Output!.GetBuffer().AsSpan(0, (int)channel.Output.Length), agreed);
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task OptionData_OfEveryOption_SurviveAnything()
    {
        await using var memory = new MemoryBackend(Size);
        var exports = new ExportTable([new NbdExport { Name = "a", Backend = memory }], 1 << 20);
        byte[][] seeds = [ScriptedClient.InfoData("a", NbdInfo.Export, NbdInfo.BlockSize), ScriptedClient.ContextData("a", "base:", "base:allocation"), "a"u8.ToArray()];
        var mutator = new Mutator(400);
        var replies = new OptionReplies();
        int cases = Mutator.Cases(300_000);
        var negotiation = new OptionNegotiation(exports, tls: null, NbdClientFlags.FixedNewstyle);
        for (int i = 0; i < cases; i++)
        {
            if (i % 16 == 0)
                negotiation = new OptionNegotiation(exports, mutator.Next(2) == 0 ? null : new NbdServerTls { CertificateDirectory = "", Required = mutator.Next(2) == 0 }, (NbdClientFlags)mutator.Next(4));
            if (mutator.Next(20) == 0)
                negotiation.ResetForTls();
            replies.Clear();
            byte[] data = mutator.Mutate(seeds[mutator.Next(seeds.Length)]);
            var outcome = negotiation.Handle((NbdOption)mutator.Next(14), data, replies);
            Assert.Equal(outcome == OptionOutcome.Transmit, negotiation.Chosen is not null);
            if (outcome == OptionOutcome.Transmit)
                negotiation = new OptionNegotiation(exports, tls: null, NbdClientFlags.FixedNewstyle);
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task WholeServer_OverConnections_SurvivesAnything()
    {
        await using var backend = new MemoryBackend(Size);
        await using var harness = new ServerHarness(backend, new NbdServerOptions { MaximumConnections = 4000, StallTimeout = TimeSpan.FromSeconds(20) });
        var mutator = new Mutator(500);
        byte[][] seeds = [CutTests.Stream(HeaderForm.Simple), CutTests.Stream(HeaderForm.Structured), CutTests.Stream(HeaderForm.Extended)];
        int cases = Math.Max(1_500, Mutator.Cases(0) / 100);
        for (int i = 0; i < cases; i++)
        {
            using var client = harness.Connect(overSocket: i % 2 == 0);
            try
            {
                client.Send(mutator.Mutate(seeds[mutator.Next(seeds.Length)]));
            }
            catch (IOException)
            {
                // It was thrown out in the middle of a word.
            }
        }

        await harness.ClientsGoneAsync();
        using var last = harness.Connect();
        last.Go();
        Assert.Equal(NbdErrno.Ok, last.Read(0, 512, out _));
    }

    private static byte[] Requests(Mutator mutator, HeaderForm form, out int count)
    {
        using var client = new ScriptedClient(Stream.Null) { Form = form };
        using var stream = new MemoryStream();
        count = 1 + mutator.Next(30);
        for (int i = 0; i < count; i++)
        {
            var command = (NbdCommand)(mutator.Next(10) == 0 ? mutator.Next(12) : "\0\u0001\u0003\u0004\u0005\u0006\u0007"[mutator.Next(7)]);
            if (command == NbdCommand.Disconnect && mutator.Next(4) != 0)
                command = NbdCommand.Read;
            ulong length = command == NbdCommand.Flush ? 0 : (ulong)mutator.Next(mutator.Next(8) == 0 ? Size : 5000);
            ulong offset = command == NbdCommand.Flush ? 0 : (ulong)mutator.Next(Size + 5000);
            var flags = mutator.Next(3) == 0 ? (NbdCommandFlags)mutator.Next(64) : NbdCommandFlags.None;
            if (form != HeaderForm.Extended)
                flags &= ~NbdCommandFlags.PayloadLength;
            byte[] payload = command == NbdCommand.Write || (flags & NbdCommandFlags.PayloadLength) != 0 ? new byte[length] : [];
            byte[] request = client.RequestBytes(command, offset, length, payload, flags);
            stream.Write(mutator.Next(12) == 0 ? mutator.Mutate(request) : request);
        }

        return stream.ToArray();
    }

    private static byte[] Options(Mutator mutator, out int count)
    {
        using var stream = new MemoryStream();
        stream.Write([0, 0, 0, (byte)mutator.Next(mutator.Next(10) == 0 ? 8 : 4)]);
        count = 1 + mutator.Next(8);
        for (int i = 0; i < count; i++)
        {
            var option = (NbdOption)mutator.Next(13);
            string name = mutator.Next(3) switch { 0 => "a", 1 => "bb", _ => "" };
            byte[] data = option switch
            {
                NbdOption.ExportName => Encoding.UTF8.GetBytes(name),
                NbdOption.Info or NbdOption.Go => ScriptedClient.InfoData(name, NbdInfo.BlockSize, (NbdInfo)mutator.Next(5)),
                NbdOption.ListMetaContext or NbdOption.SetMetaContext => ScriptedClient.ContextData(name, "base:allocation"),
                NbdOption.StartTls when mutator.Next(2) == 0 => [1],
                _ => [],
            };
            byte[] bytes = ScriptedClient.OptionBytes(option, data);
            stream.Write(mutator.Next(3) == 0 ? mutator.Mutate(bytes) : bytes);
        }

        return stream.ToArray();
    }

    private static void CheckOptionReplies(ReadOnlySpan<byte> output, OptionNegotiation? agreed)
    {
        Assert.True(ServerGreeting.TryRead(output, out _));
        output = output[ServerGreeting.Size..];
        var last = default(OptionReplyHeader);
        while (OptionReplyHeader.TryRead(output, out var header))
        {
            Assert.True(header.Length <= (uint)(output.Length - OptionReplyHeader.Size));
            output = output[(OptionReplyHeader.Size + (int)header.Length)..];
            last = header;
        }

        // Bytes without an option reply's header are the answer to EXPORT_NAME.
        if (output.Length > 0)
            Assert.True(agreed is not null && output.Length is 10 or 134 && BinaryPrimitives.ReadUInt64BigEndian(output) == Size);
        else if (agreed is not null)
            Assert.Equal((NbdOption.Go, NbdOptionReply.Ack), (last.Option, last.Type));
    }
}
