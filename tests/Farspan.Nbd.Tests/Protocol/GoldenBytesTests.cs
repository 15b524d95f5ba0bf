using System.Text;
using Farspan.Nbd.Protocol;
using Xunit;

namespace Farspan.Nbd.Tests.Protocol;

/// <summary>The exact bytes of every message, each read back, and each refused when cut short.</summary>
public sealed class GoldenBytesTests
{
    private delegate bool Reader(ReadOnlySpan<byte> source);

    [Fact]
    public void ServerGreeting_HasItsBytes()
        => Check(
            "4e42444d41474943 49484156454f5054 0003",
            b => new ServerGreeting(NbdHandshakeFlags.FixedNewstyle | NbdHandshakeFlags.NoZeroes).Write(b),
            s => ServerGreeting.TryRead(s, out var g) && g == new ServerGreeting(NbdHandshakeFlags.FixedNewstyle | NbdHandshakeFlags.NoZeroes));

    [Fact]
    public void OptionHeader_HasItsBytes()
        => Check(
            "49484156454f5054 00000007 00000006",
            b => new OptionHeader(NbdOption.Go, 6).Write(b),
            s => OptionHeader.TryRead(s, out var h) && h == new OptionHeader(NbdOption.Go, 6));

    [Fact]
    public void OptionReplyHeader_HasItsBytes()
        => Check(
            "0003e889045565a9 00000007 80000006 00000002",
            b => new OptionReplyHeader(NbdOption.Go, NbdOptionReply.ErrorUnknown, 2).Write(b),
            s => OptionReplyHeader.TryRead(s, out var h) && h == new OptionReplyHeader(NbdOption.Go, NbdOptionReply.ErrorUnknown, 2) && h.IsError);

    [Fact]
    public void ExportSummary_HasItsBytes()
        => Check(
            "0000000100000000 0005",
            b => new ExportSummary(1UL << 32, NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.SendFlush).Write(b),
            s => ExportSummary.TryRead(s, out var e)
                && e == new ExportSummary(1UL << 32, NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.SendFlush));

    [Fact]
    public void BlockSizeInfo_HasItsBytes()
        => Check(
            "00000001 00001000 02000000",
            b => new BlockSizeInfo(1, 4096, 32 << 20).Write(b),
            s => BlockSizeInfo.TryRead(s, out var i) && i == new BlockSizeInfo(1, 4096, 32 << 20) && i.IsValid);

    [Theory]
    [InlineData(0, 4096, 4096)]
    [InlineData(3, 4096, 4096)]
    [InlineData(131072, 131072, 131072)]
    [InlineData(1, 256, 4096)]
    [InlineData(4096, 512, 4096)]
    [InlineData(1, 4095, 4096)]
    [InlineData(1, 4096, 4095)]
    public void BlockSizeInfo_AgainstTheRules_IsNotValid(uint minimum, uint preferred, uint maximum)
        => Assert.False(new BlockSizeInfo(minimum, preferred, maximum).IsValid);

    [Fact]
    public void ExportInfoRequest_HasItsBytes()
        => Check(
            "00000002 6869 0002 0000 0003",
            b => ExportInfoRequest.Write(b, "hi"u8, [NbdInfo.Export, NbdInfo.BlockSize]),
            s => ExportInfoRequest.TryRead(s, out var r) && r.Name.SequenceEqual("hi"u8) && r.RequestCount == 2
                && r.Asks(NbdInfo.BlockSize) && r.Asks(NbdInfo.Export) && !r.Asks(NbdInfo.Name),
            exact: true);

    [Fact]
    public void MetaContextRequest_HasItsBytes()
        => Check(
            "00000001 78 00000002 00000005 626173653a 00000000",
            b => MetaContextRequest.Write(b, "x"u8, "base:", ""),
            s => MetaContextRequest.TryRead(s, out var r) && r.Name.SequenceEqual("x"u8) && r.QueryCount == 2
                && r.Queries.SequenceEqual("\0\0\0\u0005base:\0\0\0\0"u8),
            exact: true);

    [Fact]
    public void MetaContextRequest_WithHugeCount_IsRefusedAtOnce()
        => Assert.False(MetaContextRequest.TryRead(Hex("00000000 FFFFFFFF"), out _));

    [Fact]
    public void MetaContextReply_HasItsBytes()
        => Check(
            "00000007 613a62",
            b => MetaContextReply.Write(b, 7, "a:b"u8),
            s => MetaContextReply.TryRead(s, out var r) && r.Id == 7 && r.Name.SequenceEqual("a:b"u8));

    [Fact]
    public void ExportListing_HasItsBytes()
        => Check(
            "00000002 6869 646573",
            b => ExportListing.Write(b, "hi"u8, "des"u8),
            s => ExportListing.TryRead(s, out var l) && l.Name.SequenceEqual("hi"u8) && l.Description.SequenceEqual("des"u8));

    [Fact]
    public void RequestHeader_Compact_HasItsBytes()
        => Check(
            "25609513 0001 0001 0102030405060708 0000000000001000 00000200",
            b => new RequestHeader(NbdCommandFlags.Fua, NbdCommand.Write, 0x0102030405060708, 4096, 512).Write(b, extended: false),
            s => RequestHeader.TryRead(s, extended: false, out var h)
                && h == new RequestHeader(NbdCommandFlags.Fua, NbdCommand.Write, 0x0102030405060708, 4096, 512));

    [Fact]
    public void RequestHeader_Extended_HasItsBytes()
        => Check(
            "21e41c71 0020 0001 0102030405060708 0000000000001000 0000000100000200",
            b => new RequestHeader(NbdCommandFlags.PayloadLength, NbdCommand.Write, 0x0102030405060708, 4096, 0x100000200).Write(b, extended: true),
            s => RequestHeader.TryRead(s, extended: true, out var h)
                && h == new RequestHeader(NbdCommandFlags.PayloadLength, NbdCommand.Write, 0x0102030405060708, 4096, 0x100000200));

    [Fact]
    public void SimpleReplyHeader_HasItsBytes()
        => Check(
            "67446698 0000001c 00000000000000ff",
            b => new SimpleReplyHeader(NbdErrno.NoSpc, 255).Write(b),
            s => SimpleReplyHeader.TryRead(s, out var h) && h == new SimpleReplyHeader(NbdErrno.NoSpc, 255));

    [Fact]
    public void ChunkHeader_Structured_HasItsBytes()
        => Check(
            "668e33ef 0001 0001 00000000000000ff 00000208",
            b => new ChunkHeader(NbdChunkFlags.Done, NbdChunkType.OffsetData, 255, 0, 520).Write(b, extended: false),
            s => ChunkHeader.TryRead(s, extended: false, out var h) && h == new ChunkHeader(NbdChunkFlags.Done, NbdChunkType.OffsetData, 255, 0, 520));

    [Fact]
    public void ChunkHeader_Extended_HasItsBytes()
        => Check(
            "6e8a278c 0001 8001 00000000000000ff 0000000000001000 0000000000000006",
            b => new ChunkHeader(NbdChunkFlags.Done, NbdChunkType.Error, 255, 4096, 6).Write(b, extended: true),
            s => ChunkHeader.TryRead(s, extended: true, out var h) && h == new ChunkHeader(NbdChunkFlags.Done, NbdChunkType.Error, 255, 4096, 6)
                && h.IsDone && h.IsError);

    [Fact]
    public void ErrorChunk_HasItsBytes()
        => Check(
            "00000016 0003 626164",
            b => ErrorChunk.Write(b, NbdErrno.Inval, "bad"u8),
            s => ErrorChunk.TryRead(s, hasOffset: false, out var e) && e.Error == NbdErrno.Inval && e.Message.SequenceEqual("bad"u8));

    [Fact]
    public void ErrorOffsetChunk_HasItsBytes()
        => Check(
            "00000005 0000 0000000000001000",
            b => ErrorChunk.Write(b, NbdErrno.Io, [], 4096),
            s => ErrorChunk.TryRead(s, hasOffset: true, out var e) && e.Error == NbdErrno.Io && e.Offset == 4096);

    [Theory]
    [InlineData("00000000 0000")]
    [InlineData("00000005 1001")]
    [InlineData("00000005 0001")]
    public void ErrorChunk_WithoutErrorOrWithFalseLength_IsRefused(string hex)
        => Assert.False(ErrorChunk.TryRead(Hex(hex), hasOffset: false, out _));

    [Fact]
    public void HoleChunk_HasItsBytes()
        => Check(
            "0000000000010000 00008000",
            b => new HoleChunk(65536, 32768).Write(b),
            s => HoleChunk.TryRead(s, out var h) && h == new HoleChunk(65536, 32768),
            exact: true);

    [Fact]
    public void BlockStatusChunk_Compact_HasItsBytes()
        => Check(
            "00000001 00001000 00000000 00002000 00000003",
            b =>
            {
                BlockStatusChunk.WriteHead(b, extended: false, 1, 2);
                BlockStatusChunk.WriteDescriptor(b.AsSpan(4), extended: false, 4096, 0);
                BlockStatusChunk.WriteDescriptor(b.AsSpan(12), extended: false, 8192, 3);
            },
            s => BlockStatusChunk.TryRead(s, extended: false, out var c) && c.ContextId == 1 && c.Count == 2 && c[0] == (4096, 0) && c[1] == (8192, 3));

    [Fact]
    public void BlockStatusChunk_Extended_HasItsBytes()
        => Check(
            "00000001 00000001 0000000100000000 0000000000000003",
            b =>
            {
                BlockStatusChunk.WriteHead(b, extended: true, 1, 1);
                BlockStatusChunk.WriteDescriptor(b.AsSpan(8), extended: true, 1UL << 32, 3);
            },
            s => BlockStatusChunk.TryRead(s, extended: true, out var c) && c.ContextId == 1 && c.Count == 1 && c[0] == (1UL << 32, 3));

    [Theory]
    [InlineData("00000001 00000000 00000000", false)]
    [InlineData("00000001 00000002 0000000000000001 0000000000000000", true)]
    [InlineData("00000001", false)]
    public void BlockStatusChunk_AgainstTheRules_IsRefused(string hex, bool extended)
        => Assert.False(BlockStatusChunk.TryRead(Hex(hex), extended, out _));

    [Theory]
    [InlineData("61", true)]
    [InlineData("", true)]
    [InlineData("6100", false)]
    [InlineData("ff", false)]
    [InlineData("c3a9", true)]
    [InlineData("c3", false)]
    public void NbdText_KnowsStrings(string hex, bool valid) => Assert.Equal(valid, NbdText.IsValid(Hex(hex)));

    [Fact]
    public void NbdText_LongerThanTheProtocolAllows_IsNotValid()
    {
        Assert.True(NbdText.IsValid(Encoding.ASCII.GetBytes(new string('x', 4096))));
        Assert.False(NbdText.IsValid(Encoding.ASCII.GetBytes(new string('x', 4097))));
    }

    private static byte[] Hex(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

    private static void Check(string hex, Action<byte[]> write, Reader read, bool exact = false)
    {
        byte[] expected = Hex(hex);
        byte[] written = new byte[expected.Length];
        write(written);
        Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(written));
        Assert.True(read(written));
        for (int length = 0; length < written.Length; length++)
            Assert.False(read(written.AsSpan(0, length)), $"cut to {length} bytes");
        if (exact)
            Assert.False(read([.. written, 0]), "one byte too many");
        for (int i = 0; i < written.Length; i++)
        {
            // Any changed byte gives another message or a refusal, never an exception.
            byte[] changed = [.. written];
            changed[i] ^= 0xff;
            Assert.False(read(changed), $"byte {i} changed");
        }
    }
}
