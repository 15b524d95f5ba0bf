using Farspan.Migration;
using Farspan.Wire.Protocol;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>The bytes of docs/wire/farspan.md about regions that are being moved.</summary>
public sealed class MoveCodecTests
{
    private const long Chunks = 1000;

    private static readonly Guid Token = new("00112233-4455-6677-8899-aabbccddeeff");

    [Theory]
    [InlineData(SeederCall.Track, 16)]
    [InlineData(SeederCall.Round, 17)]
    [InlineData(SeederCall.Finalize, 18)]
    [InlineData(SeederCall.Close, 19)]
    [InlineData(SeederCall.GiveUp, 20)]
    public void Request_HasItsGoldenBytes_AndEachCallItsNumber(object call, int operation)
    {
        var request = new SeederRequest((SeederCall)call, Token, 0x0102030405060708, 0x0A0B0C0D);
        byte[] bytes = MoveRequest.ToBytes(request);
        Assert.Equal("33221100554477668899AABBCCDDEEFF" + "0807060504030201" + "0D0C0B0A", Convert.ToHexString(bytes));
        Assert.Equal((WireOperation)operation, MoveRequest.OperationOf((SeederCall)call));
        Assert.True(MoveRequest.TryRead(Header((WireOperation)operation), bytes, out var read));
        Assert.Equal(request, read);
        Assert.True(MoveRequest.Has((WireOperation)operation));
    }

    [Fact]
    public void Request_ThatNamesNoMove_IsRefused()
    {
        byte[] bytes = MoveRequest.ToBytes(new SeederRequest(SeederCall.Track, Token, 1, 1));
        Assert.False(MoveRequest.TryRead(Header(WireOperation.MigrateTrack), bytes.AsSpan(1), out _));
        Assert.False(MoveRequest.TryRead(Header(WireOperation.MigrateList), bytes, out _));
        Assert.True(MoveRequest.TryRead(Header(WireOperation.MigrateList) with { Detail = 18 }, bytes, out var list));
        Assert.Equal(SeederCall.Finalize, list.Call);
        bytes[27] = 0x80;
        Assert.False(MoveRequest.TryRead(Header(WireOperation.MigrateTrack), bytes, out _));
        Assert.False(MoveRequest.TryRead(Header(WireOperation.MigrateTrack), MoveRequest.ToBytes(default), out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => MoveRequest.OperationOf(SeederCall.Read));
    }

    [Fact]
    public void Reply_HasItsGoldenBytes()
    {
        var reply = new SeederReply(SeederAnswer.Yours, Token, 2, 0, 3, IsExact: true);
        var page = new ChangedPage([new ChangedRun(1, 2), new ChangedRun(5, 0x0102)], 600);
        byte[] bytes = MoveReply.ToBytes(reply, page);
        Assert.Equal(
            "0603000003000000" + "33221100554477668899AABBCCDDEEFF" + "0200000000000000" + "0000000000000000"
                + "5802000000000000" + "01000000000000000200000000000000" + "05000000000000000201000000000000",
            Convert.ToHexString(bytes));
        Assert.True(MoveReply.TryRead(bytes, Chunks, out var read, out var readPage));
        Assert.Equal(reply, read);
        Assert.Equal(page.Runs, readPage!.Runs);
        Assert.Equal(600, readPage.NextChunk);

        bytes = MoveReply.ToBytes(new SeederReply(SeederAnswer.Tracking, Token, 1, 9), page: null);
        Assert.Equal("0300000000000000" + "33221100554477668899AABBCCDDEEFF" + "0100000000000000" + "0900000000000000", Convert.ToHexString(bytes));
        Assert.True(MoveReply.TryRead(bytes, Chunks, out read, out readPage));
        Assert.Equal((9L, false), (read.Session, read.IsExact));
        Assert.Null(readPage);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0, 5)]
    [InlineData(0, 9)]
    [InlineData(1, 4)]
    [InlineData(1, 2)]
    [InlineData(2, 1)]
    [InlineData(7, 0x80)]
    [InlineData(31, 0x80)]
    [InlineData(39, 0x80)]
    public void Reply_WithAnUnknownNumber_IsRefused(int at, byte value)
    {
        byte[] bytes = MoveReply.ToBytes(new SeederReply(SeederAnswer.Tracking, Token, 1, 9), page: null);
        bytes[at] = value;
        Assert.False(MoveReply.TryRead(bytes, Chunks, out _, out _));
    }

    [Fact]
    public void Answers_HaveTheirNumbers()
        => Assert.Equal(
            [SeederAnswer.Wait, SeederAnswer.Refused, SeederAnswer.Busy, SeederAnswer.Tracking, SeederAnswer.Round, SeederAnswer.Bytes, SeederAnswer.Yours, SeederAnswer.Released, SeederAnswer.GivenUp],
            Enumerable.Range(0, 9).Select(static number => (SeederAnswer)number));

    [Theory]
    [InlineData(new long[] { -1 }, true)]
    [InlineData(new long[] { -1, 10, 1, 11, 1 }, true)]
    [InlineData(new long[] { 999, 10, 989 }, true)]
    [InlineData(new long[] { -1, 999, 1 }, true)]
    [InlineData(new long[] { -1, 9, 1 }, false)]
    [InlineData(new long[] { -1, 10, 2, 11, 1 }, false)]
    [InlineData(new long[] { -1, 12, 1, 10, 1 }, false)]
    [InlineData(new long[] { -1, 10, 0 }, false)]
    [InlineData(new long[] { -1, 10, -1 }, false)]
    [InlineData(new long[] { -1, 10, 991 }, false)]
    [InlineData(new long[] { -1, 10, long.MaxValue }, false)]
    [InlineData(new long[] { -1, 1000, 1 }, false)]
    [InlineData(new long[] { -1, long.MinValue, 1 }, false)]
    [InlineData(new long[] { 1000, 10, 1 }, false)]
    [InlineData(new long[] { 10, 10, 1 }, false)]
    [InlineData(new long[] { -2, 10, 1 }, false)]
    [InlineData(new long[] { 50 }, false)]
    [InlineData(new long[] { -1, 10 }, false)]
    [InlineData(new long[] { -1, 10, 1, 20, 1, 30, 1, 40, 1 }, false)]
    public void Page_IsRefused_UnlessItsRunsAreInOrderAndInside(long[] numbers, bool isRight)
    {
        byte[] bytes = [.. numbers.SelectMany(BitConverter.GetBytes)];
        Assert.Equal(isRight, MovePage.TryRead(bytes, 10, Chunks, 3, out var page));
        Assert.True(!isRight || MovePage.ToBytes(page!).AsSpan().SequenceEqual(bytes));
    }

    private static WireFrame Header(WireOperation operation) => new(operation, 0, 1, MoveRequest.Size, 0, 0, 0, 0);
}
