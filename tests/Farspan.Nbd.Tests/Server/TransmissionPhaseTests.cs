using System.Buffers.Binary;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>Every command, with every error that the protocol names for it, in every form of headers; after each error the connection goes on.</summary>
public sealed class TransmissionPhaseTests
{
    private const int Size = 1 << 20;

    public static TheoryData<HeaderForm, bool> Forms()
    {
        var forms = new TheoryData<HeaderForm, bool>();
        foreach (var form in Enum.GetValues<HeaderForm>())
        {
            forms.Add(form, true);
            forms.Add(form, false);
        }

        return forms;
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task WhatIsWritten_IsRead(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(16 << 20));
        var client = harness.Connect(overSocket);
        client.Go(form);
        var random = new Random(1);
        byte[] model = new byte[16 << 20];
        foreach (int length in new[] { 1, 511, 512, 4096, 4097, 32767, 32768, 32769, 65536, 131072, 131073, 1 << 20, (1 << 20) + 1, 5_000_000 })
        {
            int offset = random.Next(model.Length - length);
            random.NextBytes(model.AsSpan(offset, length));
            Assert.Equal(NbdErrno.Ok, client.Write((ulong)offset, model.AsSpan(offset, length)));
            int from = random.Next(offset + 1);
            int count = Math.Min(model.Length - from, length + (offset - from) + 100);
            Assert.Equal(NbdErrno.Ok, client.Read((ulong)from, count, out byte[] data));
            Assert.True(model.AsSpan(from, count).SequenceEqual(data), $"{length} bytes at {offset}");
        }

        Assert.Equal(NbdErrno.Ok, client.Read(0, model.Length, out byte[] all));
        Assert.True(model.AsSpan().SequenceEqual(all));
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task WhatIsWritten_IsRead_WhereTheBackendAnswersLater(HeaderForm form, bool overSocket)
    {
        await using var backend = new ScriptedBackend(4 << 20) { Before = async (_, _, _, _) => await Task.Yield() };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(form);
        byte[] model = new byte[4 << 20];
        new Random(2).NextBytes(model);
        Assert.Equal(NbdErrno.Ok, client.Write(0, model.AsSpan(0, 4 << 20)));
        Assert.True(model.AsSpan().SequenceEqual(backend.Bytes));
        foreach (int length in new[] { 1, 4096, 65536, 1 << 20, 3_000_001 })
        {
            Assert.Equal(NbdErrno.Ok, client.Read(77, length, out byte[] data));
            Assert.True(model.AsSpan(77, length).SequenceEqual(data));
        }
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task RangePastTheEnd_HasItsErrno_AndTheConnectionGoesOn(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect(overSocket);
        client.Go(form, contexts: form != HeaderForm.Simple);
        foreach (var (offset, length) in new (ulong, uint)[] { (Size - 1, 2), (Size, 1), (ulong.MaxValue, 1), (ulong.MaxValue - 511, 1024), (1, Size) })
        {
            Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.Read, offset, length).Error);
            Assert.Equal(NbdErrno.NoSpc, client.Write(offset, new byte[length]));
            Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.Trim, offset, length).Error);
            Assert.Equal(NbdErrno.NoSpc, client.Request(NbdCommand.WriteZeroes, offset, length).Error);
            Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.Cache, offset, length).Error);
            if (form != HeaderForm.Simple)
                Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.BlockStatus, offset, length).Error);
        }

        Assert.Equal(NbdErrno.Ok, client.Read(Size - 1, 1, out _));
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task EmptyRange_Succeeds_ExceptForBlockStatus(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect(overSocket);
        client.Go(form, contexts: form != HeaderForm.Simple);
        foreach (ulong offset in new ulong[] { 0, 5, Size })
        {
            foreach (var command in new[] { NbdCommand.Read, NbdCommand.Write, NbdCommand.Trim, NbdCommand.WriteZeroes, NbdCommand.Cache })
                Assert.Equal(NbdErrno.Ok, client.Request(command, offset, 0).Error);
            if (form != HeaderForm.Simple)
                Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.BlockStatus, offset, 0).Error);
        }
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task ReadOnlyExport_RefusesWrites_WithPerm(HeaderForm form, bool overSocket)
    {
        await using var backend = new MemoryBackend(Size);
        await using var harness = new ServerHarness([new NbdExport { Backend = backend, ReadOnly = true }]);
        var client = harness.Connect(overSocket);
        client.Go(form);
        Assert.Equal(NbdErrno.Perm, client.Write(0, new byte[4096]));
        Assert.Equal(NbdErrno.Perm, client.Write(Size, new byte[4096]));
        Assert.Equal(NbdErrno.Perm, client.Request(NbdCommand.Trim, 0, 4096).Error);
        Assert.Equal(NbdErrno.Perm, client.Request(NbdCommand.WriteZeroes, 0, 4096).Error);
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.Flush, 0, 0).Error);
        Assert.Equal(NbdErrno.Ok, client.Read(0, 4096, out _));
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task UnknownFlags_AndCommands_AreInvalid(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect(overSocket);
        client.Go(form, contexts: form != HeaderForm.Simple);
        var commands = new[] { NbdCommand.Read, NbdCommand.Write, NbdCommand.Flush, NbdCommand.Trim, NbdCommand.Cache, NbdCommand.WriteZeroes };
        foreach (var command in commands)
        {
            ulong length = command == NbdCommand.Flush ? 0UL : 512;
            byte[] payload = command == NbdCommand.Write ? new byte[512] : [];
            for (int bit = 6; bit < 16; bit++)
                Assert.Equal(NbdErrno.Inval, client.Request(command, 0, length, payload, (NbdCommandFlags)(1 << bit)).Error);
            Assert.Equal(NbdErrno.Inval, client.Request(command, 0, length, payload, NbdCommandFlags.ReqOne).Error);
            Assert.Equal(NbdErrno.Ok, client.Request(command, 0, length, payload, NbdCommandFlags.Fua).Error);
            if (command != NbdCommand.WriteZeroes)
                Assert.Equal(NbdErrno.Inval, client.Request(command, 0, length, payload, NbdCommandFlags.FastZero).Error);
            if (command != NbdCommand.Read || form == HeaderForm.Simple)
                Assert.Equal(NbdErrno.Inval, client.Request(command, 0, length, payload, NbdCommandFlags.Df).Error);
        }

        foreach (ushort command in new ushort[] { 8, 9, 100, 0xffff })
            Assert.Equal(NbdErrno.Inval, client.Request((NbdCommand)command, 0, 512).Error);
        Assert.Equal(NbdErrno.Ok, client.Read(0, 512, out _));
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task WhatIsNotOffered_IsInvalid(HeaderForm form, bool overSocket)
    {
        await using var backend = new ScriptedBackend(Size);
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(form);
        Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.Trim, 0, 4096).Error);
        Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.WriteZeroes, 0, 4096, default, NbdCommandFlags.FastZero).Error);
        Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.BlockStatus, 0, 4096).Error);
        Assert.Empty(backend.Calls);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(1UL, 0u)]
    [InlineData(0UL, 1u)]
    public async Task Flush_WithARange_IsInvalid(ulong offset, uint length)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect();
        client.Go();
        Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.Flush, offset, length).Error);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(BackendError.InputOutput, 5u)]
    [InlineData(BackendError.NoSpace, 28u)]
    [InlineData(BackendError.ReadOnly, 1u)]
    [InlineData(BackendError.AccessDenied, 1u)]
    [InlineData(BackendError.NoMemory, 12u)]
    [InlineData(BackendError.NotSupported, 95u)]
    [InlineData(BackendError.Invalid, 22u)]
    [InlineData(BackendError.TimedOut, 5u)]
    [InlineData(BackendError.Disconnected, 5u)]
    [InlineData(BackendError.ShuttingDown, 108u)]
    [InlineData(BackendError.Corrupt, 5u)]
    [InlineData(BackendError.Protocol, 5u)]
    [InlineData(BackendError.NotFound, 5u)]
    public async Task BackendError_HasItsErrno_AndTheConnectionGoesOn(BackendError error, uint errno)
    {
        foreach (bool later in new[] { false, true })
        {
            bool fails = true;
            await using var backend = new ScriptedBackend(Size, typeof(ITrim), typeof(IZero), typeof(IExtentSource))
            {
                Extents = (offset, length) => [new Extent(offset, length, ExtentKind.Data)],
                Before = async (_, _, _, _) =>
                {
                    if (later)
                        await Task.Yield();
                    if (fails)
                        throw new BackendException(error, "it broke: ü");
                },
            };
            await using var harness = new ServerHarness(backend);
            foreach (var form in Enum.GetValues<HeaderForm>())
            {
                fails = true;
                var client = harness.Connect();
                client.Go(form, contexts: form != HeaderForm.Simple);
                foreach (var command in new[] { NbdCommand.Read, NbdCommand.Write, NbdCommand.Flush, NbdCommand.Trim, NbdCommand.Cache, NbdCommand.WriteZeroes, NbdCommand.BlockStatus })
                {
                    if (command == NbdCommand.BlockStatus && form == HeaderForm.Simple)
                        continue;
                    ulong length = command == NbdCommand.Flush ? 0UL : 8192;
                    var reply = client.Request(command, 0, length, command == NbdCommand.Write ? new byte[8192] : []);
                    Assert.Equal((NbdErrno)errno, reply.Error);
                    Assert.Equal(form == HeaderForm.Simple ? "" : "it broke: ü", reply.Message);
                }

                fails = false;
                Assert.Equal(NbdErrno.Ok, client.Read(0, 8192, out _));
            }
        }
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task ReadThatFails_SendsNoData(HeaderForm form, bool overSocket)
    {
        await using var backend = new ScriptedBackend(8 << 20)
        {
            Before = (call, offset, _, _) => offset >= 2 << 20 ? throw new BackendException(BackendError.Corrupt, "bad sector") : default,
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(form);
        var reply = client.Request(NbdCommand.Read, 0, 3 << 20);
        Assert.Equal(NbdErrno.Io, reply.Error);
        if (form != HeaderForm.Simple)
        {
            Assert.Equal((2UL << 20, 2), (reply.ErrorOffset, reply.DataCount));
            Assert.Equal(NbdErrno.Io, client.Request(NbdCommand.Read, 0, 3 << 20, default, NbdCommandFlags.Df).Error);
        }

        Assert.Equal(NbdErrno.Ok, client.Read(0, 2 << 20, out _));
    }

    [Fact(Timeout = 120_000)]
    public async Task UnexpectedException_IsAnIoError_ThatTellsNothing()
    {
        await using var backend = new ScriptedBackend(Size) { Before = (_, _, _, _) => throw new InvalidOperationException("secret") };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        var reply = client.Request(NbdCommand.Read, 0, 512);
        Assert.Equal(NbdErrno.Io, reply.Error);
        Assert.DoesNotContain("secret", reply.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task LongErrorMessage_IsCutAtACharacter()
    {
        string message = new('é', 4000);
        await using var backend = new ScriptedBackend(Size) { Before = (_, _, _, _) => throw new BackendException(BackendError.InputOutput, message) };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        string told = client.Request(NbdCommand.Write, 0, 512, new byte[512]).Message;
        Assert.InRange(told.Length, 100, 2048);
        Assert.StartsWith(told, message, StringComparison.Ordinal);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task Fua_FlushesBeforeTheReply(HeaderForm form, bool overSocket)
    {
        await using var backend = new ScriptedBackend(8 << 20, typeof(ITrim), typeof(IZero));
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(form);
        client.Write(0, new byte[512], NbdCommandFlags.Fua);
        client.Write(0, new byte[3 << 20], NbdCommandFlags.Fua);
        client.Request(NbdCommand.Trim, 0, 512, default, NbdCommandFlags.Fua);
        client.Request(NbdCommand.WriteZeroes, 0, 512, default, NbdCommandFlags.Fua | NbdCommandFlags.NoHole);
        client.Request(NbdCommand.Read, 0, 512, default, NbdCommandFlags.Fua);
        client.Write(0, new byte[512]);
        Assert.Equal(
            [
                "write 0+512", "flush 0+0", "write 0+1048576", "write 1048576+1048576", "write 2097152+1048576", "flush 0+0", "trim 0+512",
                "flush 0+0", "zero KeepAllocated 0+512", "flush 0+0", "read 0+512", "write 0+512",
            ],
            backend.Calls);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task FailedFlushOfFua_FailsTheWrite(HeaderForm form, bool overSocket)
    {
        await using var backend = new ScriptedBackend(Size)
        {
            Before = (call, _, _, _) => call == "flush" ? throw new BackendException(BackendError.NoSpace, "full") : default,
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(form);
        Assert.Equal(NbdErrno.NoSpc, client.Write(0, new byte[512], NbdCommandFlags.Fua));
        Assert.Equal(NbdErrno.Ok, client.Write(0, new byte[512]));
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task WriteZeroes_WithoutThePower_WritesZeroes(HeaderForm form, bool overSocket)
    {
        await using var backend = new ScriptedBackend(4 << 20);
        Array.Fill(backend.Bytes, (byte)1);
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(form);
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.WriteZeroes, 3, (3 << 20) + 5).Error);
        Assert.Equal(1, backend.Bytes[2]);
        Assert.True(backend.Bytes.AsSpan(3, (3 << 20) + 5).ContainsAnyExcept((byte)0) == false);
        Assert.Equal(1, backend.Bytes[(3 << 20) + 8]);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task LongEffects_KeepAll32Bits(HeaderForm form, bool overSocket)
    {
        await using var backend = new ScriptedBackend(4096, typeof(ITrim), typeof(IZero), typeof(IExtentSource))
        {
            ClaimedLength = 1L << 40,
            Extents = (offset, length) => [new Extent(offset, length, ExtentKind.Hole | ExtentKind.Zero)],
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(form, contexts: form != HeaderForm.Simple);
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.WriteZeroes, 0, uint.MaxValue).Error);
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.Trim, 1, 0xffff_fe00).Error);
        Assert.Equal(["zero None 0+4294967295", "trim 1+4294966784"], backend.Calls);
        if (form == HeaderForm.Simple)
            return;
        foreach (uint length in new[] { uint.MaxValue, 0x8000_0000, 0xffff_fe00 })
            Assert.Equal([((ulong)length, 3UL)], client.Request(NbdCommand.BlockStatus, 1UL << 36, length).Extents);
    }

    [Fact(Timeout = 120_000)]
    public async Task ExtendedHeaders_Carry64BitLengths()
    {
        await using var backend = new ScriptedBackend(4096, typeof(ITrim), typeof(IZero), typeof(IExtentSource))
        {
            ClaimedLength = 1L << 50,
            Extents = (offset, length) => [new Extent(offset, length, ExtentKind.Hole)],
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go(HeaderForm.Extended, contexts: true);
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.WriteZeroes, 5, 1UL << 49).Error);
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.Trim, 0, 1UL << 50).Error);
        Assert.Equal([(1UL << 50, 1UL)], client.Request(NbdCommand.BlockStatus, 0, 1UL << 50).Extents);
        Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.Trim, 0, (1UL << 50) + 1).Error);
        Assert.Equal(NbdErrno.NoSpc, client.Request(NbdCommand.WriteZeroes, 0, ulong.MaxValue).Error);
        Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.Read, 0, 1UL << 33).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task ExtendedHeaders_PayloadFlag_SaysWhatFollows()
    {
        await using var backend = new ScriptedBackend(Size);
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go(HeaderForm.Extended, contexts: true);
        byte[] write = new byte[RequestHeader.ExtendedSize];
        new RequestHeader(NbdCommandFlags.None, NbdCommand.Write, 1, 0, 512).Write(write, extended: true);
        client.Send(write);
        Assert.Equal(NbdErrno.Inval, client.ReadReply().Error);
        foreach (var command in new[] { NbdCommand.Read, NbdCommand.Flush, NbdCommand.WriteZeroes, NbdCommand.Cache, (NbdCommand)99 })
            Assert.Equal(NbdErrno.Inval, client.Request(command, 0, 100, new byte[100], NbdCommandFlags.PayloadLength).Error);
        Assert.Empty(backend.Calls);
        Assert.Equal(NbdErrno.Ok, client.Write(0, new byte[512]));
    }

    [Theory(Timeout = 120_000)]
    [InlineData("0000000000001000 00000001", NbdErrno.Ok)]
    [InlineData("0000000000001000 00000002", NbdErrno.Inval)]
    [InlineData("0000000000001000", NbdErrno.Inval)]
    [InlineData("0000000000001000 00000001 00000001", NbdErrno.Inval)]
    [InlineData("00000000", NbdErrno.Inval)]
    [InlineData("0000000000000000 00000001", NbdErrno.Inval)]
    [InlineData("ffffffffffffffff 00000001", NbdErrno.Inval)]
    public async Task BlockStatusPayload_MustNameTheContext(string hex, object expected)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect();
        client.Go(HeaderForm.Extended, contexts: true);
        byte[] payload = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
        var reply = client.Request(NbdCommand.BlockStatus, 0, (ulong)payload.Length, payload, NbdCommandFlags.PayloadLength);
        Assert.Equal((NbdErrno)expected, reply.Error);
        if (reply.Error == NbdErrno.Ok)
            Assert.Equal([(4096UL, 3UL)], reply.Extents);
        Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.BlockStatus, 0, 9000, new byte[9000], NbdCommandFlags.PayloadLength).Error);
        Assert.Equal(NbdErrno.Ok, client.Read(0, 512, out _));
    }

    [Theory(Timeout = 120_000)]
    [InlineData(0UL)]
    [InlineData((ulong)Size)]
    [InlineData((ulong)Size + 1)]
    [InlineData(1UL << 63)]
    public async Task BlockStatusPayload_OfNoBytes_IsInvalid_WhereverItPoints(ulong offset)
    {
        await using var backend = new ScriptedBackend(Size, typeof(IExtentSource)) { Extents = (_, _) => [] };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go(HeaderForm.Extended, contexts: true);
        Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.BlockStatus, offset, 0, [], NbdCommandFlags.PayloadLength).Error);
        Assert.Empty(backend.Calls);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task BackendThatGivesUpByItself_IsAnIoError_AndNotAServerThatStops(HeaderForm form, bool overSocket)
    {
        await using var backend = new ScriptedBackend(Size) { Before = (_, _, _, _) => throw new OperationCanceledException() };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(form);
        Assert.Equal(NbdErrno.Io, client.Read(0, 512, out _));
        Assert.Equal(NbdErrno.Io, client.Write(0, [1]));
        Assert.Equal(NbdErrno.Io, client.Request(NbdCommand.Flush, 0, 0).Error);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(NbdCommand.WriteZeroes)]
    [InlineData(NbdCommand.Cache)]
    public async Task EndlessWork_OfABackendThatAnswersAtOnce_HoldsUpNoOtherRequest_AndEndsWithItsClient(object command)
    {
        await using var backend = new BottomlessBackend();
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go(HeaderForm.Extended);
        client.SendRequest((NbdCommand)command, 0, 1UL << 60);
        ulong read = client.SendRequest(NbdCommand.Read, 0, 512);
        Assert.Equal(read, client.ReadReply().Cookie);
        client.Dispose();
        await harness.ClientsGoneAsync();
    }

    [Theory(Timeout = 120_000)]
    [InlineData(HeaderForm.Structured)]
    [InlineData(HeaderForm.Extended)]
    public async Task BlockStatus_TellsDataAndHoles(HeaderForm form)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect();
        client.Go(form, contexts: true);
        client.Write(65536, new byte[4096]);
        Assert.Equal([(65536UL, 3UL), (4096UL, 0UL), (Size - 69632UL, 3UL)], client.Request(NbdCommand.BlockStatus, 0, Size).Extents);
        Assert.Equal([(65536UL, 3UL)], client.Request(NbdCommand.BlockStatus, 0, Size, default, NbdCommandFlags.ReqOne).Extents);
        Assert.Equal([(10UL, 3UL)], client.Request(NbdCommand.BlockStatus, 7, 10).Extents);
    }

    [Fact(Timeout = 120_000)]
    public async Task BlockStatus_OfABackendThatCannotSay_IsData()
    {
        await using var harness = new ServerHarness(new ScriptedBackend(Size));
        var client = harness.Connect();
        client.Go(contexts: true);
        Assert.Equal([(Size, 0UL)], client.Request(NbdCommand.BlockStatus, 0, Size).Extents);
    }

    [Fact(Timeout = 120_000)]
    public async Task BlockStatus_OfABackendThatLies_IsAnError()
    {
        foreach (var lie in new[] { new Extent(0, Size + 1, 0), new Extent(1, 10, 0), new Extent(0, 0, 0), new Extent(0, -5, 0) })
        {
            await using var backend = new ScriptedBackend(Size, typeof(IExtentSource)) { Extents = (_, _) => [lie] };
            await using var harness = new ServerHarness(backend);
            var client = harness.Connect();
            client.Go(contexts: true);
            Assert.Equal(NbdErrno.Io, client.Request(NbdCommand.BlockStatus, 0, Size).Error);
            Assert.Equal(NbdErrno.Ok, client.Read(0, 128 << 10, out _));
        }

        await using var silent = new ScriptedBackend(Size, typeof(IExtentSource)) { Extents = (_, _) => [] };
        await using var silentHarness = new ServerHarness(silent);
        var last = silentHarness.Connect();
        last.Go(contexts: true);
        Assert.Equal(NbdErrno.Io, last.Request(NbdCommand.BlockStatus, 0, Size).Error);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(HeaderForm.Structured)]
    [InlineData(HeaderForm.Extended)]
    public async Task BlockStatus_TellsOnlyWhatTheProtocolHasBitsFor(HeaderForm form)
    {
        await using var backend = new ScriptedBackend(Size, typeof(IExtentSource)) { Extents = (offset, length) => [new Extent(offset, length, (ExtentKind)(-2))] };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go(form, contexts: true);
        Assert.Equal([(Size, 2UL)], client.Request(NbdCommand.BlockStatus, 0, Size).Extents);
    }

    [Fact(Timeout = 120_000)]
    public async Task BlockStatus_OfOne_NeverGivesMore()
    {
        await using var backend = new TalkativeBackend();
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go(contexts: true);
        Assert.Equal(2, client.Request(NbdCommand.BlockStatus, 0, 1024).Extents.Count);
        Assert.Equal(NbdErrno.Io, client.Request(NbdCommand.BlockStatus, 0, 1024, default, NbdCommandFlags.ReqOne).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task BlockStatus_OfMoreExtentsThanFit_StopsEarly()
    {
        await using var backend = new ScriptedBackend(4096, typeof(IExtentSource))
        {
            ClaimedLength = 1L << 32,
            Extents = (offset, length) => Enumerable.Range(0, 100_000).Select(i => new Extent(offset + (i * 512), 512, (ExtentKind)(i % 2 * 3))),
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go(contexts: true);
        var extents = client.Request(NbdCommand.BlockStatus, 0, uint.MaxValue).Extents;
        Assert.InRange(extents.Count, 1000, 1 << 20);
        Assert.Single(client.Request(NbdCommand.BlockStatus, 0, uint.MaxValue, default, NbdCommandFlags.ReqOne).Extents);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(HeaderForm.Structured)]
    [InlineData(HeaderForm.Extended)]
    public async Task SparseRead_TellsHoles_UnlessUnfragmented(HeaderForm form)
    {
        await using var harness = new ServerHarness(new MemoryBackend(16 << 20));
        var client = harness.Connect();
        client.Go(form);
        byte[] data = new byte[10_000];
        Array.Fill(data, (byte)7);
        client.Write(100_000, data);
        var sparse = client.Request(NbdCommand.Read, 50_000, 200_000);
        Assert.Equal((2, 1), (sparse.HoleCount, sparse.DataCount));
        var whole = client.Request(NbdCommand.Read, 50_000, 200_000, default, NbdCommandFlags.Df);
        Assert.Equal((0, 1), (whole.HoleCount, whole.DataCount));
        Assert.Equal(whole.Data(50_000, 200_000), sparse.Data(50_000, 200_000));
        var empty = client.Request(NbdCommand.Read, 4 << 20, 8 << 20);
        Assert.Equal((1, 0), (empty.HoleCount, empty.DataCount));
    }

    [Fact(Timeout = 120_000)]
    public async Task SparseRead_OfABackendWhoseExtentsComeLate_ReadsData()
    {
        var gate = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(Size, typeof(IExtentSource))
        {
            Extents = (offset, length) => [new Extent(offset, length, ExtentKind.Zero)],
            Before = async (call, _, _, _) => await (call.StartsWith("extents", StringComparison.Ordinal) ? gate.Task : Task.CompletedTask),
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        for (int i = 0; i < 3; i++)
        {
            var reply = client.Request(NbdCommand.Read, 0, Size);
            Assert.Equal((0, 1), (reply.HoleCount, reply.DataCount));
        }

        gate.SetResult();
        Assert.Single(backend.Calls, c => c.StartsWith("extents", StringComparison.Ordinal));
    }

    [Fact(Timeout = 120_000)]
    public async Task RequestOverTheMaximum_IsRefused_AndAFarTooLongWriteCloses()
    {
        await using var backend = new ScriptedBackend(4096) { ClaimedLength = 1L << 40 };
        await using var harness = new ServerHarness(backend, new NbdServerOptions { MaximumRequestBytes = 1 << 20 });
        var client = harness.Connect();
        client.Go();
        Assert.Equal(NbdErrno.Inval, client.Request(NbdCommand.Read, 0, (1 << 20) + 1).Error);
        Assert.Equal(NbdErrno.Overflow, client.Request(NbdCommand.Read, 0, (1 << 20) + 1, default, NbdCommandFlags.Df).Error);
        Assert.Equal(NbdErrno.Inval, client.Write(0, new byte[(1 << 20) + 1]));
        Assert.Equal(NbdErrno.Inval, client.Write(0, new byte[4 << 20]));
        Assert.Empty(backend.Calls);
        client.SendRequest(NbdCommand.Write, 0, (4 << 20) + 1);
        client.AssertClosed();
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task WrongRequestMagic_ClosesTheConnection(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect(overSocket);
        client.Go(form);
        byte[] request = client.RequestBytes(NbdCommand.Read, 0, 512);
        BinaryPrimitives.WriteUInt32BigEndian(request, form == HeaderForm.Extended ? NbdConstants.RequestMagic : NbdConstants.ExtendedRequestMagic);
        client.Send([.. request, 0, 0, 0, 0]);
        client.AssertClosed();
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Forms))]
    public async Task Replies_HaveTheirGoldenBytes(HeaderForm form, bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect(overSocket);
        client.Go(form);
        client.Send([
            .. client.RequestBytes(NbdCommand.Write, 16, 4, [1, 2, 3, 4], cookie: 0x0102030405060708),
            .. client.RequestBytes(NbdCommand.Read, 16, 4, cookie: 0x1112131415161718),
            .. client.RequestBytes(NbdCommand.Disconnect, 0, 0)]);
        string expected = form switch
        {
            HeaderForm.Simple => "67446698 00000000 0102030405060708  67446698 00000000 1112131415161718 01020304",
            HeaderForm.Structured => "67446698 00000000 0102030405060708  668e33ef 0001 0001 1112131415161718 0000000c 0000000000000010 01020304",
            _ => "6e8a278c 0001 0000 0102030405060708 0000000000000010 0000000000000000"
                + "6e8a278c 0001 0001 1112131415161718 0000000000000010 000000000000000c 0000000000000010 01020304",
        };
        byte[] bytes = Convert.FromHexString(expected.Replace(" ", "", StringComparison.Ordinal));
        Assert.Equal(Convert.ToHexString(bytes), Convert.ToHexString(client.Receive(bytes.Length)));
        client.AssertClosed();
    }

    [Theory(Timeout = 120_000)]
    [InlineData(HeaderForm.Structured, "668e33ef 0001 8001 1112131415161718 {0:x8} 00000016 {1:x4} {2}")]
    [InlineData(HeaderForm.Extended, "6e8a278c 0001 8001 1112131415161718 00000000000ffffc 00000000{0:x8} 00000016 {1:x4} {2}")]
    public async Task Error_HasItsGoldenBytes(HeaderForm form, string format)
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size));
        var client = harness.Connect();
        client.Go(form);
        client.Send(client.RequestBytes(NbdCommand.Read, Size - 4, 8, cookie: 0x1112131415161718));
        byte[] text = "the range ends past the end of the export"u8.ToArray();
        string hex = string.Format(null, format, text.Length + 6, text.Length, Convert.ToHexString(text));
        byte[] bytes = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
        Assert.Equal(Convert.ToHexString(bytes), Convert.ToHexString(client.Receive(bytes.Length)));
    }

    [Fact(Timeout = 120_000)]
    public async Task FastZero_ThatWouldBeSlow_IsNotSupported()
    {
        await using var backend = new ScriptedBackend(Size, typeof(IZero))
        {
            Before = (call, _, _, _) => call.Contains("FastOnly", StringComparison.Ordinal)
                ? throw new BackendException(BackendError.NotSupported, "slow") : default,
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        Assert.Equal(NbdErrno.NotSup, client.Request(NbdCommand.WriteZeroes, 0, 512, default, NbdCommandFlags.FastZero).Error);
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.WriteZeroes, 0, 512).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task Cache_ReadsTheRange_InPieces()
    {
        await using var backend = new ScriptedBackend(4 << 20);
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.Cache, 0, (2 << 20) + 1).Error);
        Assert.Equal(["read 0+1048576", "read 1048576+1048576", "read 2097152+1"], backend.Calls);
    }

    [Fact(Timeout = 120_000)]
    public async Task LongRequests_ReachTheBackendInItsSizes()
    {
        await using var backend = new ScriptedBackend(4 << 20, typeof(IBlockSizes)) { BlockSizes = new BlockSizes(512, 65536, 200_192) };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        client.Write(512, new byte[500_224]);
        Assert.Equal(["write 512+196096", "write 196608+196608", "write 393216+107520"], backend.Calls);
        backend.Calls.Clear();
        client.Read(512, 500_224, out _);
        Assert.Equal(["read 512+196096", "read 196608+196608", "read 393216+107520"], backend.Calls);
    }
}
