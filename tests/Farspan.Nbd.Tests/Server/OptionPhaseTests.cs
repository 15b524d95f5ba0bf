using System.Buffers.Binary;
using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>Every option, and every way to get one wrong, over a connection.</summary>
public sealed class OptionPhaseTests
{
    private static NbdExport[] TwoExports() =>
    [
        new() { Name = "one", Description = "the first", Backend = new MemoryBackend(1 << 20) },
        new() { Name = "two", Backend = new MemoryBackend(2 << 20), ReadOnly = true },
    ];

    [Fact(Timeout = 120_000)]
    public async Task Greeting_IsTheFirstBytes()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        Assert.Equal("4E42444D4147494349484156454F50540003", Convert.ToHexString(client.Receive(18)));
    }

    [Theory(Timeout = 120_000)]
    [InlineData(4u)]
    [InlineData(0x80000000u)]
    public async Task ClientFlagNotOffered_ClosesTheConnection(uint flags)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet((NbdClientFlags)flags);
        client.AssertClosed();
    }

    [Fact(Timeout = 120_000)]
    public async Task List_GivesOneReplyPerExport()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        client.SendOption(NbdOption.List);
        foreach (var (name, description) in new[] { ("one", "the first"), ("two", "") })
        {
            var (type, data) = client.ReadOptionReply(NbdOption.List);
            Assert.Equal(NbdOptionReply.Server, type);
            Assert.True(ExportListing.TryRead(data, out var listing));
            Assert.Equal((name, description), (Encoding.UTF8.GetString(listing.Name), Encoding.UTF8.GetString(listing.Description)));
        }

        Assert.Equal(NbdOptionReply.Ack, client.ReadOptionReply(NbdOption.List).Type);
    }

    [Fact(Timeout = 120_000)]
    public async Task List_OfThousandsOfExports_WithTheLongestNames_GivesThemAll()
    {
        await using var backend = new MemoryBackend(1 << 20);
        string[] names = [.. Enumerable.Range(0, 2000).Select(i => new string('n', 4092) + i.ToString("x4", null))];
        await using var harness = new ServerHarness([.. names.Select(name => new NbdExport { Name = name, Description = name, Backend = backend })]);
        var client = harness.Connect();
        client.Greet();
        client.SendOption(NbdOption.List);
        foreach (string name in names)
        {
            Assert.True(ExportListing.TryRead(client.ReadOptionReply(NbdOption.List).Data, out var listing));
            Assert.Equal(name, Encoding.UTF8.GetString(listing.Name));
        }

        Assert.Equal(NbdOptionReply.Ack, client.ReadOptionReply(NbdOption.List).Type);
        Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Go, names[1234]).Last);
        Assert.Throws<ArgumentException>(() => new NbdServer([new NbdExport { Name = new string('n', 4097), Backend = backend }]));
    }

    [Fact(Timeout = 120_000)]
    public async Task MaximumOfBlockSizes_IsAMultipleOfTheMinimum()
    {
        await using var backend = new ScriptedBackend(1 << 20, typeof(IBlockSizes)) { BlockSizes = new BlockSizes(4096, 65536, 1 << 20) };
        await using var harness = new ServerHarness(backend, new NbdServerOptions { MaximumRequestBytes = (2 << 20) + 1000 });
        var client = harness.Connect();
        client.Greet();
        Assert.True(BlockSizeInfo.TryRead(client.InfoOrGo(NbdOption.Info, "", NbdInfo.BlockSize).Infos[NbdInfo.BlockSize], out var sizes));
        Assert.Equal(new BlockSizeInfo(4096, 65536, 2 << 20), sizes);
    }

    [Theory(Timeout = 120_000)]
    [InlineData((uint)NbdOption.List)]
    [InlineData((uint)NbdOption.StartTls)]
    [InlineData((uint)NbdOption.StructuredReply)]
    [InlineData((uint)NbdOption.ExtendedHeaders)]
    public async Task DataWhereNoneBelong_AreRefused_AndTheNextOptionIsUnderstood(uint option)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.ErrorInvalid, client.Option((NbdOption)option, 1, 2, 3));
        Assert.Equal(NbdOptionReply.Ack, client.Option(NbdOption.StructuredReply));
    }

    [Theory(Timeout = 120_000)]
    [InlineData(0u)]
    [InlineData(4u)]
    [InlineData(12u)]
    [InlineData(0xffffffffu)]
    public async Task UnknownOption_IsUnsupported_AndItsDataAreSkipped(uint option)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.ErrorUnsupported, client.Option((NbdOption)option, new byte[5000]));
        Assert.Equal(NbdOptionReply.ErrorUnsupported, client.Option((NbdOption)option, new byte[100_000]));
        Assert.Equal(NbdOptionReply.Ack, client.Option(NbdOption.StructuredReply));
    }

    [Fact(Timeout = 120_000)]
    public async Task KnownOption_TooLong_IsTooBig_AndMuchTooLong_ClosesWithoutReadingIt()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.ErrorTooBig, client.Option(NbdOption.Go, new byte[(64 << 10) + 1]));
        byte[] header = new byte[OptionHeader.Size];
        new OptionHeader(NbdOption.Go, uint.MaxValue).Write(header);
        client.Send(header);
        client.AssertClosed();
    }

    [Theory(Timeout = 120_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Abort_IsAcknowledged_ThenClosed(bool withData)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.Ack, client.Option(NbdOption.Abort, withData ? [1, 2, 3, 4] : []));
        client.AssertClosed();
    }

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ExportName_GivesSizeAndFlags_AndZeroesUnlessAgreed(bool noZeroes)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet(NbdClientFlags.FixedNewstyle | (noZeroes ? NbdClientFlags.NoZeroes : 0));
        client.SendOption(NbdOption.ExportName, "two"u8);
        Assert.True(ExportSummary.TryRead(client.Receive(10), out var summary));
        Assert.Equal(2UL << 20, summary.ExportSize);
        Assert.True(summary.Flags.HasFlag(NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.ReadOnly));
        if (!noZeroes)
            Assert.Equal(new byte[124], client.Receive(124));
        Assert.Equal(NbdErrno.Ok, client.Read(0, 512, out byte[] data));
        Assert.Equal(new byte[512], data);
    }

    [Fact(Timeout = 120_000)]
    public async Task ExportName_Unknown_ClosesTheConnection()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        client.SendOption(NbdOption.ExportName, "three"u8);
        client.AssertClosed();
    }

    [Fact(Timeout = 120_000)]
    public async Task ExportName_LongerThanAnyName_ClosesBeforeItsBytesAreTaken()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        byte[] header = new byte[OptionHeader.Size];
        new OptionHeader(NbdOption.ExportName, 0xfffffff0).Write(header);
        client.Send(header);
        client.AssertClosed();
    }

    [Theory(Timeout = 120_000)]
    [InlineData(NbdOption.Info, "", 1UL << 20)]
    [InlineData(NbdOption.Info, "two", 2UL << 20)]
    [InlineData(NbdOption.Go, "one", 1UL << 20)]
    public async Task InfoAndGo_GiveWhatWasAskedFor(object option, string name, ulong size)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        var (last, infos) = client.InfoOrGo((NbdOption)option, name, NbdInfo.Name, NbdInfo.Description, NbdInfo.BlockSize, (NbdInfo)77);
        Assert.Equal(NbdOptionReply.Ack, last);
        Assert.Equal(4, infos.Count);
        Assert.True(ExportSummary.TryRead(infos[NbdInfo.Export], out var summary));
        Assert.Equal(size, summary.ExportSize);
        Assert.Equal(name.Length == 0 ? "one" : name, Encoding.UTF8.GetString(infos[NbdInfo.Name]));
        Assert.True(BlockSizeInfo.TryRead(infos[NbdInfo.BlockSize], out var sizes));
        Assert.Equal(new BlockSizeInfo(1, 4096, 64 << 20), sizes);
    }

    [Fact(Timeout = 120_000)]
    public async Task Info_AskedForNothing_GivesTheExportOnly()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        var (last, infos) = client.InfoOrGo(NbdOption.Info, "one");
        Assert.Equal((NbdOptionReply.Ack, NbdInfo.Export), (last, Assert.Single(infos).Key));
    }

    [Fact(Timeout = 120_000)]
    public async Task GoToAMissingExport_AfterInfoOfAnother_ServesNothing()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Info, "one").Last);
        Assert.Equal(NbdOptionReply.ErrorUnknown, client.InfoOrGo(NbdOption.Go, "missing").Last);
        Assert.Equal(NbdOptionReply.ErrorUnknown, client.InfoOrGo(NbdOption.Go, new string('x', 4096)).Last);
        Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Go, "two").Last);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("")]
    [InlineData("000000")]
    [InlineData("00000000")]
    [InlineData("0000000000")]
    [InlineData("000000030000")]
    [InlineData("ffffffff0000")]
    [InlineData("00000000ffff")]
    [InlineData("000000000001")]
    [InlineData("00000000000000")]
    [InlineData("0000000000010003ff")]
    public async Task Go_WithLengthsThatDoNotAddUp_IsInvalid_AndTheNextOptionIsUnderstood(string hex)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.ErrorInvalid, client.Option(NbdOption.Go, Convert.FromHexString(hex)));
        Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Go, "one").Last);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("6f6e6500")]
    [InlineData("ff")]
    [InlineData("c3")]
    public async Task Name_ThatIsNoString_IsUnknown(string hex)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        byte[] name = Convert.FromHexString(hex);
        byte[] data = new byte[ExportInfoRequest.SizeOf(name.Length, 0)];
        ExportInfoRequest.Write(data, name, []);
        Assert.Equal(NbdOptionReply.ErrorUnknown, client.Option(NbdOption.Info, data));
    }

    [Fact(Timeout = 120_000)]
    public async Task UnusualBlockSizes_MustBeAskedForBeforeGo()
    {
        await using var backend = new ScriptedBackend(1 << 20, typeof(IBlockSizes)) { BlockSizes = new BlockSizes(512, 65536, 1 << 20) };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Info, "").Last);
        var (last, infos) = client.InfoOrGo(NbdOption.Go, "");
        Assert.Equal((NbdOptionReply.ErrorBlockSizeRequired, NbdInfo.BlockSize), (last, Assert.Single(infos).Key));
        Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Go, "", NbdInfo.BlockSize).Last);
        Assert.Equal(NbdErrno.Inval, client.Read(1, 512, out _));
        Assert.Equal(NbdErrno.Ok, client.Read(512, 512, out _));
    }

    [Fact(Timeout = 120_000)]
    public async Task MetaContext_BeforeStructuredReplies_IsInvalid()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.ErrorInvalid, client.Option(NbdOption.SetMetaContext, ScriptedClient.ContextData("one", "base:allocation")));
        Assert.Equal(NbdOptionReply.ErrorInvalid, client.Option(NbdOption.ListMetaContext, ScriptedClient.ContextData("one")));
    }

    [Theory(Timeout = 120_000)]
    [InlineData(NbdOption.ListMetaContext, new string[0], true)]
    [InlineData(NbdOption.ListMetaContext, new[] { "base:" }, true)]
    [InlineData(NbdOption.ListMetaContext, new[] { "x-other:", "base:allocation" }, true)]
    [InlineData(NbdOption.ListMetaContext, new[] { "base:other", "nonsense", "" }, false)]
    [InlineData(NbdOption.SetMetaContext, new string[0], false)]
    [InlineData(NbdOption.SetMetaContext, new[] { "base:" }, false)]
    [InlineData(NbdOption.SetMetaContext, new[] { "base:allocation", "base:allocation" }, true)]
    [InlineData(NbdOption.SetMetaContext, new[] { "qemu:dirty-bitmap:x" }, false)]
    public async Task MetaContext_QueriesSelectWhatTheySay(object option, string[] queries, bool selected)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        client.Option(NbdOption.StructuredReply);
        client.SendOption((NbdOption)option, ScriptedClient.ContextData("one", queries));
        if (selected)
        {
            var (type, data) = client.ReadOptionReply((NbdOption)option);
            Assert.Equal(NbdOptionReply.MetaContext, type);
            Assert.True(MetaContextReply.TryRead(data, out var context));
            Assert.Equal("base:allocation", Encoding.UTF8.GetString(context.Name));
            Assert.Equal((NbdOption)option == NbdOption.SetMetaContext, context.Id != 0);
        }

        Assert.Equal(NbdOptionReply.Ack, client.ReadOptionReply((NbdOption)option).Type);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("one", NbdErrno.Ok)]
    [InlineData("two", NbdErrno.Inval)]
    public async Task SelectedContext_CountsForItsExportOnly(string chosen, object expected)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        Select(client, "one");
        client.InfoOrGo(NbdOption.Go, chosen);
        Assert.Equal((NbdErrno)expected, client.Request(NbdCommand.BlockStatus, 0, 4096).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task SelectedContext_IsForgottenByAFailedSelection()
    {
        await using var harness = new ServerHarness(TwoExports());
        foreach (byte[] data in new[] { ScriptedClient.ContextData("missing", "base:allocation"), [0], new byte[(64 << 10) + 1] })
        {
            var client = harness.Connect();
            Select(client, "one");
            Assert.True((client.Option(NbdOption.SetMetaContext, data) & NbdOptionReply.Error) != 0);
            client.InfoOrGo(NbdOption.Go, "one");
            Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.BlockStatus, 0, 4096).Error);
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task MetaContext_WithFalseLengths_IsInvalid()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        client.Option(NbdOption.StructuredReply);
        byte[] valid = ScriptedClient.ContextData("one", "base:allocation");
        for (int length = 0; length < valid.Length; length++)
            Assert.Equal(NbdOptionReply.ErrorInvalid, client.Option(NbdOption.SetMetaContext, valid.AsSpan(0, length)));
        Assert.Equal(NbdOptionReply.ErrorInvalid, client.Option(NbdOption.SetMetaContext, [.. valid, 0]));
        BinaryPrimitives.WriteUInt32BigEndian(valid.AsSpan(7), uint.MaxValue);
        Assert.Equal(NbdOptionReply.ErrorInvalid, client.Option(NbdOption.SetMetaContext, valid));
    }

    [Fact(Timeout = 120_000)]
    public async Task StructuredReply_AfterExtendedHeaders_IsRefused_AndTheyStay()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.Ack, client.Option(NbdOption.StructuredReply));
        Assert.Equal(NbdOptionReply.Ack, client.Option(NbdOption.ExtendedHeaders));
        Assert.Equal(NbdOptionReply.ErrorExtendedHeadersRequired, client.Option(NbdOption.StructuredReply));
        client.SendOption(NbdOption.ExportName, "one"u8);
        client.AssertClosed();
    }

    [Fact(Timeout = 120_000)]
    public async Task StartTls_WithoutTls_IsAgainstThePolicy()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        Assert.Equal(NbdOptionReply.ErrorPolicy, client.Option(NbdOption.StartTls));
        Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Go, "one").Last);
    }

    [Fact(Timeout = 120_000)]
    public async Task MoreOptionsThanAllowed_CloseTheConnection()
    {
        await using var harness = new ServerHarness(TwoExports(), new NbdServerOptions { MaximumOptions = 5 });
        var client = harness.Connect();
        client.Greet();
        for (int i = 0; i < 5; i++)
            Assert.Equal(NbdOptionReply.Ack, client.Option(NbdOption.StructuredReply));
        client.AssertClosed();
    }

    [Theory(Timeout = 120_000)]
    [InlineData("0000000000000000 00000007 00000000")]
    [InlineData("49484156454f5055 00000007 00000000")]
    public async Task WrongOptionMagic_ClosesTheConnection(string hex)
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        client.Send(Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)));
        client.AssertClosed();
    }

    [Fact(Timeout = 120_000)]
    public async Task ManyInfosThenGo_ServeTheLastOne()
    {
        await using var harness = new ServerHarness(TwoExports());
        var client = harness.Connect();
        client.Greet();
        for (int i = 0; i < 50; i++)
        {
            client.SendOption(NbdOption.List);
            for (int reply = 0; reply < 3; reply++)
                client.ReadOptionReply(NbdOption.List);
            Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Info, i % 2 == 0 ? "one" : "two").Last);
        }

        Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Go, "two").Last);
        Assert.Equal(NbdErrno.Ok, client.Read((2 << 20) - 1, 1, out _));
    }

    [Fact(Timeout = 120_000)]
    public async Task Backend_IsNotTouchedBeforeTransmission()
    {
        await using var backend = new ScriptedBackend(4096);
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Greet();
        client.InfoOrGo(NbdOption.Info, "");
        client.InfoOrGo(NbdOption.Go, "");
        Assert.Empty(backend.Calls);
    }

    [Fact(Timeout = 120_000)]
    public async Task Flags_TellWhatTheBackendCan()
    {
        var all = NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.SendFlush | NbdTransmissionFlags.SendFua | NbdTransmissionFlags.SendCache;
        await CheckAsync(new ScriptedBackend(4096), HeaderForm.Simple, all | NbdTransmissionFlags.SendWriteZeroes);
        await CheckAsync(new ScriptedBackend(4096), HeaderForm.Structured, all | NbdTransmissionFlags.SendWriteZeroes | NbdTransmissionFlags.SendDf);
        await CheckAsync(
            new ScriptedBackend(4096, typeof(ITrim), typeof(IZero), typeof(IConcurrentWriters)), HeaderForm.Simple,
            all | NbdTransmissionFlags.SendWriteZeroes | NbdTransmissionFlags.SendTrim | NbdTransmissionFlags.SendFastZero
                | NbdTransmissionFlags.CanMultiConn);
        await CheckAsync(
            new ScriptedBackend(4096, typeof(IZero)) { CanZeroFast = false }, HeaderForm.Simple, all | NbdTransmissionFlags.SendWriteZeroes);
        await CheckAsync(
            new ScriptedBackend(4096, typeof(ITrim), typeof(IZero)) { IsReadOnly = true }, HeaderForm.Simple,
            all | NbdTransmissionFlags.ReadOnly | NbdTransmissionFlags.CanMultiConn);

        static async Task CheckAsync(ScriptedBackend backend, HeaderForm form, NbdTransmissionFlags expected)
        {
            await using var harness = new ServerHarness(backend);
            Assert.Equal(expected, harness.Connect().Go(form).Flags);
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task PayloadFilter_IsOfferedOnlyWithExtendedHeadersAndAContext()
    {
        await using var harness = new ServerHarness(new MemoryBackend(4096));
        Assert.False(harness.Connect().Go(HeaderForm.Extended).Flags.HasFlag(NbdTransmissionFlags.BlockStatusPayload));
        Assert.False(harness.Connect().Go(HeaderForm.Structured, contexts: true).Flags.HasFlag(NbdTransmissionFlags.BlockStatusPayload));
        Assert.True(harness.Connect().Go(HeaderForm.Extended, contexts: true).Flags.HasFlag(NbdTransmissionFlags.BlockStatusPayload));
    }

    [Fact]
    public void TwoExportsOfOneName_AreRefused()
        => Assert.Throws<ArgumentException>(() => new NbdServer([TwoExports()[0], TwoExports()[0]]));

    private static void Select(ScriptedClient client, string name)
    {
        client.Greet();
        client.Option(NbdOption.StructuredReply);
        client.SendOption(NbdOption.SetMetaContext, ScriptedClient.ContextData(name, "base:allocation"));
        Assert.Equal(NbdOptionReply.MetaContext, client.ReadOptionReply(NbdOption.SetMetaContext).Type);
        Assert.Equal(NbdOptionReply.Ack, client.ReadOptionReply(NbdOption.SetMetaContext).Type);
    }
}
