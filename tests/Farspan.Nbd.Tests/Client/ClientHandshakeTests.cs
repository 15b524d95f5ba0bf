using System.Buffers.Binary;
using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;
using Farspan.Transports;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

public sealed class ClientHandshakeTests
{
    private static readonly NbdClientOptions Plain = new() { Endpoint = StreamEndpoint.Tcp("localhost", 10809) };

    public static TheoryData<string> Lies => [.. NegotiationLies.Keys];

    /// <summary>What a decent server with structured replies says from its greeting to the end of GO.</summary>
    internal static byte[][] Decent { get; } =
    [
        ServerBytes.Greeting(),
        ServerBytes.Reply(NbdOption.ExtendedHeaders, NbdOptionReply.ErrorUnsupported),
        ServerBytes.Reply(NbdOption.StructuredReply, NbdOptionReply.Ack),
        ServerBytes.ContextReply(NbdOption.SetMetaContext, 3, NbdConstants.BaseAllocation),
        ServerBytes.Reply(NbdOption.SetMetaContext, NbdOptionReply.Ack),
        ServerBytes.ExportReply(NbdOption.Go, 1 << 30, ServerScript.AllFlags),
        ServerBytes.BlockReply(NbdOption.Go, 512, 4096, 1 << 20),
        ServerBytes.Reply(NbdOption.Go, NbdOptionReply.Ack),
    ];

    private static Dictionary<string, byte[][]> NegotiationLies { get; } = new(StringComparer.Ordinal)
    {
        ["no NBD server"] = [Encoding.ASCII.GetBytes("SSH-2.0-OpenSSH_9.2 and more")],
        ["unknown second magic"] = [ServerBytes.Greeting()[..8], new byte[10]],
        ["wrong reply magic"] = [Decent[0], [.. new byte[20]]],
        ["reply to another option"] = [Decent[0], ServerBytes.Reply(NbdOption.List, NbdOptionReply.Ack)],
        ["reply of 4 GiB"] = [Decent[0], Long(ServerBytes.Reply(NbdOption.ExtendedHeaders, NbdOptionReply.Ack), uint.MaxValue)],
        ["success of an unknown kind"] = [Decent[0], ServerBytes.Reply(NbdOption.ExtendedHeaders, (NbdOptionReply)77)],
        ["context not asked for"] = [.. Decent[..3], ServerBytes.ContextReply(NbdOption.SetMetaContext, 3, "qemu:dirty-bitmap:x")],
        ["context twice"] = [.. Decent[..4], Decent[3]],
        ["context without an id"] = [.. Decent[..3], ServerBytes.Reply(NbdOption.SetMetaContext, NbdOptionReply.MetaContext, 1, 2, 3)],
        ["context name that is no text"] = [.. Decent[..3], ServerBytes.Reply(NbdOption.SetMetaContext, NbdOptionReply.MetaContext, 0, 0, 0, 1, 0xFF)],
        ["negative size"] = [.. Decent[..5], ServerBytes.ExportReply(NbdOption.Go, 1UL << 63, ServerScript.AllFlags), Decent[7]],
        ["size of all ones"] = [.. Decent[..5], ServerBytes.ExportReply(NbdOption.Go, ulong.MaxValue, ServerScript.AllFlags), Decent[7]],
        ["no size"] = [.. Decent[..5], Decent[7]],
        ["information without a type"] = [.. Decent[..5], ServerBytes.Reply(NbdOption.Go, NbdOptionReply.Info, 0)],
        ["size information too short"] = [.. Decent[..5], ServerBytes.Reply(NbdOption.Go, NbdOptionReply.Info, new byte[11])],
        ["size information too long"] = [.. Decent[..5], ServerBytes.Reply(NbdOption.Go, NbdOptionReply.Info, new byte[13])],
        ["minimum block of 3"] = [.. Decent[..6], ServerBytes.BlockReply(NbdOption.Go, 3, 4096, 1 << 20)],
        ["minimum block of 0"] = [.. Decent[..6], ServerBytes.BlockReply(NbdOption.Go, 0, 4096, 1 << 20)],
        ["minimum block of 128 KiB"] = [.. Decent[..6], ServerBytes.BlockReply(NbdOption.Go, 128 << 10, 128 << 10, 1 << 20)],
        ["maximum block below the minimum"] = [.. Decent[..6], ServerBytes.BlockReply(NbdOption.Go, 4096, 4096, 512)],
        ["block information too short"] = [.. Decent[..6], ServerBytes.Reply(NbdOption.Go, NbdOptionReply.Info, [0, 3, .. new byte[11]])],
    };

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Lies))]
    public async Task Lie_IsAProtocolError(string lie)
    {
        await Task.Yield();
        var error = Assert.Throws<BackendException>(() => Enter(NegotiationLies[lie]));
        Assert.Equal(BackendError.Protocol, error.Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task DecentServer_IsUnderstood_AndNothingIsReadBeyond()
    {
        await Task.Yield();
        using var stream = new CannedStream([.. Decent.SelectMany(m => m), 0x67]);
        var export = ClientHandshake.Enter(new NbdTransport(stream, 0), Plain);
        Assert.Equal(1 << 30, export.Size);
        Assert.Equal(ServerScript.AllFlags, export.Flags);
        Assert.True(export.StructuredReplies);
        Assert.False(export.ExtendedHeaders);
        Assert.Equal(3u, export.AllocationContext);
        Assert.Equal((512, 4096, 1u << 20), (export.MinimumBlock, export.PreferredBlock, export.MaximumBlock));
        Assert.Equal(Decent.Sum(m => m.Length), stream.Position32);
    }

    /// <summary>The reference's client sends option headers with a length of 0 before the data, and so works with its own server only.</summary>
    [Fact(Timeout = 120_000)]
    public async Task Options_CarryTheLengthOfTheirData()
    {
        await Task.Yield();
        using var stream = new CannedStream([.. Decent.SelectMany(m => m)]);
        ClientHandshake.Enter(new NbdTransport(stream, 0), Plain with { ExportName = "disk" });
        byte[] written = [.. stream.Written];
        Assert.Equal([0, 0, 0, 3], written[..4]);
        int position = 4;
        var options = new List<NbdOption>();
        while (position < written.Length)
        {
            Assert.True(OptionHeader.TryRead(written.AsSpan(position), out var header));
            options.Add(header.Option);
            if (header.Option == NbdOption.Go)
                Assert.Equal("000000046469736B00010003", Convert.ToHexString(written.AsSpan(position + OptionHeader.Size, (int)header.Length)));
            position += OptionHeader.Size + (int)header.Length;
        }

        Assert.Equal(written.Length, position);
        Assert.Equal([NbdOption.ExtendedHeaders, NbdOption.StructuredReply, NbdOption.SetMetaContext, NbdOption.Go], options);
    }

    [Fact(Timeout = 120_000)]
    public async Task ServerWithoutGo_IsEnteredByName()
    {
        await Task.Yield();
        foreach (bool zeroes in new[] { false, true })
        {
            var flags = NbdHandshakeFlags.FixedNewstyle | (zeroes ? 0 : NbdHandshakeFlags.NoZeroes);
            byte[] summary = new byte[ExportSummary.Size + (zeroes ? NbdConstants.ExportNamePadding : 0)];
            new ExportSummary(12345, ServerScript.AllFlags).Write(summary);
            byte[][] messages =
            [
                ServerBytes.Greeting(flags), .. Decent[1..5], ServerBytes.Reply(NbdOption.Go, NbdOptionReply.ErrorUnsupported), summary,
            ];
            using var stream = new CannedStream([.. messages.SelectMany(m => m), 1]);
            var export = ClientHandshake.Enter(new NbdTransport(stream, 0), Plain);
            Assert.Equal(12345, export.Size);
            Assert.True(export.StructuredReplies);
            Assert.Equal(3u, export.AllocationContext);
            Assert.Equal(messages.Sum(m => m.Length), stream.Position32);
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task PlainNewstyle_IsEnteredByName()
    {
        await Task.Yield();
        byte[] summary = new byte[ExportSummary.Size + NbdConstants.ExportNamePadding];
        new ExportSummary(777, NbdTransmissionFlags.HasFlags).Write(summary);
        var export = Enter([ServerBytes.Greeting(NbdHandshakeFlags.None), summary]);
        Assert.Equal(777, export.Size);
        Assert.False(export.StructuredReplies);
    }

    [Fact(Timeout = 120_000)]
    public async Task OldStyle_IsEntered_AndHasNoNamesAndNoTls()
    {
        await Task.Yield();
        byte[] greeting = new byte[152];
        BinaryPrimitives.WriteUInt64BigEndian(greeting, NbdConstants.ServerMagic);
        BinaryPrimitives.WriteUInt64BigEndian(greeting.AsSpan(8), NbdConstants.OldStyleMagic);
        BinaryPrimitives.WriteUInt64BigEndian(greeting.AsSpan(16), 4096);
        BinaryPrimitives.WriteUInt16BigEndian(greeting.AsSpan(26), (ushort)(NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.ReadOnly));
        var export = Enter([greeting]);
        Assert.Equal(4096, export.Size);
        Assert.True(export.Can(NbdTransmissionFlags.ReadOnly));
        Assert.Equal(BackendError.NotFound, Assert.Throws<BackendException>(() => Enter([greeting], Plain with { ExportName = "a" })).Error);
        Assert.Equal(BackendError.AccessDenied, Assert.Throws<BackendException>(() => Enter([greeting], Plain with { Tls = new() })).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task FlagsWithoutHasFlags_MeanNothing()
    {
        await Task.Yield();
        var export = Enter([.. Decent[..5], ServerBytes.ExportReply(NbdOption.Go, 10, (NbdTransmissionFlags)0xFFFE), Decent[7]]);
        Assert.Equal(NbdTransmissionFlags.None, export.Flags);
    }

    [Theory(Timeout = 120_000)]
    [InlineData((uint)NbdOptionReply.ErrorUnknown, BackendError.NotFound, "no such export")]
    [InlineData((uint)NbdOptionReply.ErrorPolicy, BackendError.AccessDenied, "policy")]
    [InlineData((uint)NbdOptionReply.ErrorTlsRequired, BackendError.AccessDenied, "nbds://")]
    [InlineData((uint)NbdOptionReply.ErrorShutdown, BackendError.ShuttingDown, "shutting down")]
    [InlineData(0x8000_1234u, BackendError.InputOutput, "0x80001234")]
    public async Task Refusal_IsNamed_WithTheServersWords(uint reply, BackendError expected, string words)
    {
        await Task.Yield();
        var error = Assert.Throws<BackendException>(
            () => Enter([.. Decent[..5], ServerBytes.Reply(NbdOption.Go, (NbdOptionReply)reply, Encoding.UTF8.GetBytes("on a \x1b[31mTuesday"))]));
        Assert.Equal(expected, error.Error);
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
        Assert.Contains("( on a  [31mTuesday)".Replace("( ", "(", StringComparison.Ordinal), error.Message, StringComparison.Ordinal);
    }

    /// <summary>CVE-2019-14842: a client that was asked for TLS and went on without it.</summary>
    [Fact(Timeout = 120_000)]
    public async Task TlsAskedFor_IsNeverGivenUp()
    {
        await Task.Yield();
        byte[][][] servers =
        [
            [Decent[0], ServerBytes.Reply(NbdOption.StartTls, NbdOptionReply.ErrorUnsupported), .. Decent[1..]],
            [Decent[0], ServerBytes.Reply(NbdOption.StartTls, NbdOptionReply.ErrorPolicy), .. Decent[1..]],
            [Decent[0], .. Decent[1..]],
            [ServerBytes.Greeting(NbdHandshakeFlags.None), new byte[200]],
            [Decent[0], ServerBytes.Reply(NbdOption.StartTls, NbdOptionReply.Info), .. Decent[1..]],
        ];
        foreach (byte[][] server in servers)
        {
            using var stream = new CannedStream([.. server.SelectMany(m => m)]);
            var error = Assert.Throws<BackendException>(
                () => ClientHandshake.Enter(new NbdTransport(stream, 0), Plain with { Tls = new(), ExportName = "secret" }));
            Assert.True(error.Error is BackendError.AccessDenied or BackendError.Protocol, $"{error}");
            Assert.DoesNotContain("secret", Encoding.Latin1.GetString([.. stream.Written]), StringComparison.Ordinal);
        }
    }

    /// <summary>Bytes that somebody on the way put behind the plain answer to STARTTLS must not count as said under TLS.</summary>
    [Fact(Timeout = 120_000)]
    public async Task BytesBehindTheAnswerToStartTls_AreTakenForTls()
    {
        await Task.Yield();
        using var stream = new CannedStream([.. Decent[0], .. ServerBytes.Reply(NbdOption.StartTls, NbdOptionReply.Ack), .. Decent[1..].SelectMany(m => m)]);
        var error = Assert.Throws<BackendException>(() => ClientHandshake.Enter(new NbdTransport(stream, 0), Plain with { Tls = new() }));
        Assert.True(error.Error is BackendError.AccessDenied or BackendError.Disconnected, $"{error}");
        Assert.Contains("TLS", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task EndlessAnswers_AreCutOff()
    {
        await Task.Yield();
        byte[] info = ServerBytes.Reply(NbdOption.Go, NbdOptionReply.Info, 0, 99);
        byte[] endless = [.. Enumerable.Repeat(info, OptionChannel.MaximumReplies + 1).SelectMany(m => m)];
        Assert.Equal(BackendError.Protocol, Assert.Throws<BackendException>(() => Enter([.. Decent[..5], endless])).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task ServerThatStopsAtAnyByte_IsALostConnection()
    {
        await Task.Yield();
        byte[] whole = [.. Decent.SelectMany(m => m)];
        for (int length = 0; length < whole.Length; length++)
        {
            var error = Assert.Throws<BackendException>(() => Enter([whole[..length]]));
            Assert.Equal(BackendError.Disconnected, error.Error);
        }
    }

    internal static ExportDescription Enter(byte[][] messages, NbdClientOptions? options = null)
    {
        using var stream = new CannedStream([.. messages.SelectMany(m => m)]);
        return ClientHandshake.Enter(new NbdTransport(stream, 0), options ?? Plain);
    }

    private static byte[] Long(byte[] reply, uint length)
    {
        BinaryPrimitives.WriteUInt32BigEndian(reply.AsSpan(16), length);
        return reply;
    }
}
