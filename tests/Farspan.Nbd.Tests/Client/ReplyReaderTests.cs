using System.Buffers.Binary;
using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

public sealed class ReplyReaderTests
{
    private const ulong Cookie = 77;
    private const long Offset = 4096;
    private const uint Context = 5;

    private static readonly byte[] Data = BackendModel.Bytes(1, 1000);

    public static TheoryData<string> ReadLies => [.. LiesAboutReads.Keys];

    public static TheoryData<string> StatusLies => [.. LiesAboutStatus.Keys];

    private static Dictionary<string, byte[][]> LiesAboutReads { get; } = new(StringComparer.Ordinal)
    {
        ["wrong cookie"] = [ServerBytes.DataChunk(Cookie + 1, Offset, Data)],
        ["second answer"] = [ServerBytes.DataChunk(Cookie, Offset, Data), ServerBytes.DataChunk(Cookie, Offset, Data)],
        ["unknown magic"] = [[1, 2, 3, 4, .. new byte[16]]],
        ["extended header that was not agreed"] = [ServerBytes.DataChunk(Cookie, Offset, Data, extendedOffset: Offset)],
        ["simple success"] = [ServerBytes.Simple(Cookie, data: Data)],
        ["simple error after a chunk"] = [ServerBytes.DataChunk(Cookie, Offset, Data, isDone: false), ServerBytes.Simple(Cookie, NbdErrno.Io)],
        ["data before the range"] = [ServerBytes.DataChunk(Cookie, Offset - 1, Data)],
        ["data behind the range"] = [ServerBytes.DataChunk(Cookie, Offset + 1, Data)],
        ["data at the end of numbers"] = [ServerBytes.DataChunk(Cookie, ulong.MaxValue - 3, Data)],
        ["too much data"] = [ServerBytes.DataChunk(Cookie, Offset, [.. Data, 0])],
        ["data chunk without data"] = [ServerBytes.DataChunk(Cookie, Offset, [])],
        ["data chunk shorter than its offset"] = [ServerBytes.Chunk(Cookie, NbdChunkType.OffsetData, new byte[7])],
        ["data chunk of 4 GiB"] = [ServerBytes.Chunk(Cookie, NbdChunkType.OffsetData, new byte[8], length: uint.MaxValue)],
        ["nothing at all"] = [ServerBytes.Chunk(Cookie, NbdChunkType.None, [])],
        ["a byte left out at the end"] = [ServerBytes.DataChunk(Cookie, Offset, Data.AsSpan(0, 999))],
        ["a byte left out at the start"] = [ServerBytes.DataChunk(Cookie, Offset + 1, Data.AsSpan(1))],
        ["a byte left out between"] =
        [
            ServerBytes.DataChunk(Cookie, Offset + 501, Data.AsSpan(501), isDone: false), ServerBytes.DataChunk(Cookie, Offset, Data.AsSpan(0, 500)),
        ],
        ["overlap in order"] =
        [
            ServerBytes.DataChunk(Cookie, Offset, Data.AsSpan(0, 600), isDone: false), ServerBytes.DataChunk(Cookie, Offset + 599, Data.AsSpan(599)),
        ],
        ["overlap out of order"] =
        [
            ServerBytes.DataChunk(Cookie, Offset + 500, Data.AsSpan(500), isDone: false), ServerBytes.DataChunk(Cookie, Offset, Data.AsSpan(0, 501)),
        ],
        ["hole over data"] = [ServerBytes.DataChunk(Cookie, Offset, Data, isDone: false), ServerBytes.HoleChunk(Cookie, Offset + 10, 1)],
        ["hole without bytes"] = [ServerBytes.HoleChunk(Cookie, Offset, 0)],
        ["hole behind the range"] = [ServerBytes.HoleChunk(Cookie, Offset, 1001)],
        ["hole of 4 GiB"] = [ServerBytes.HoleChunk(Cookie, Offset, uint.MaxValue)],
        ["hole chunk too short"] = [ServerBytes.Chunk(Cookie, NbdChunkType.OffsetHole, new byte[11])],
        ["hole chunk too long"] = [ServerBytes.Chunk(Cookie, NbdChunkType.OffsetHole, new byte[13])],
        ["empty chunk with bytes"] = [ServerBytes.Chunk(Cookie, NbdChunkType.None, new byte[1])],
        ["empty chunk that is not the last"] = [ServerBytes.Chunk(Cookie, NbdChunkType.None, [], isDone: false)],
        ["unknown chunk type"] = [ServerBytes.Chunk(Cookie, (NbdChunkType)99, Data)],
        ["block status"] = [ServerBytes.StatusChunk(Cookie, Context, [(1000, 0)])],
        ["error of none"] = [ServerBytes.ErrorChunk(Cookie, NbdErrno.Ok)],
        ["error chunk too short"] = [ServerBytes.Chunk(Cookie, NbdChunkType.Error, new byte[5])],
        ["error text longer than its chunk"] = [ServerBytes.Chunk(Cookie, NbdChunkType.Error, [0, 0, 0, 5, 0, 2, 65])],
        ["error chunk of 4 GiB"] = [ServerBytes.Chunk(Cookie, NbdChunkType.Error, new byte[8], length: uint.MaxValue)],
        ["error outside of the range"] = [ServerBytes.ErrorChunk(Cookie, NbdErrno.Io, offset: Offset + 1000)],
    };

    private static Dictionary<string, byte[][]> LiesAboutStatus { get; } = new(StringComparer.Ordinal)
    {
        ["wrong context"] = [ServerBytes.StatusChunk(Cookie, Context + 1, [(1000, 0)])],
        ["no extents"] = [ServerBytes.StatusChunk(Cookie, Context, [])],
        ["empty extent"] = [ServerBytes.StatusChunk(Cookie, Context, [(500, 0), (0, 0), (500, 0)])],
        ["extents behind the range"] = [ServerBytes.StatusChunk(Cookie, Context, [(1000, 0), (1, 0)])],
        ["twice"] = [ServerBytes.StatusChunk(Cookie, Context, [(1000, 0)], isDone: false), ServerBytes.StatusChunk(Cookie, Context, [(1000, 0)])],
        ["no status"] = [ServerBytes.Chunk(Cookie, NbdChunkType.None, [])],
        ["simple success"] = [ServerBytes.Simple(Cookie)],
        ["half an extent"] = [ServerBytes.Chunk(Cookie, NbdChunkType.BlockStatus, new byte[4 + 12])],
        ["data"] = [ServerBytes.DataChunk(Cookie, Offset, Data)],
        ["hole"] = [ServerBytes.HoleChunk(Cookie, Offset, 1000)],
        ["status of 4 GiB"] = [ServerBytes.Chunk(Cookie, NbdChunkType.BlockStatus, new byte[8], length: uint.MaxValue - 3)],
        ["extended form that was not agreed"] = [ServerBytes.Chunk(Cookie, NbdChunkType.BlockStatusExtended, new byte[24])],
    };

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(ReadLies))]
    public async Task LieAboutARead_IsAProtocolError(string lie)
    {
        await Task.Yield();
        AssertLie(LiesAboutReads[lie], NbdCommand.Read);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(StatusLies))]
    public async Task LieAboutAStatus_IsAProtocolError(string lie)
    {
        await Task.Yield();
        AssertLie(LiesAboutStatus[lie], NbdCommand.BlockStatus);
    }

    [Fact(Timeout = 120_000)]
    public async Task DataForAWrite_IsAProtocolError()
    {
        await Task.Yield();
        AssertLie([ServerBytes.DataChunk(Cookie, Offset, Data)], NbdCommand.Write);
        AssertLie([ServerBytes.HoleChunk(Cookie, Offset, 10)], NbdCommand.Flush);
    }

    [Fact(Timeout = 120_000)]
    public async Task ChunksInAnyOrder_MakeTheRead()
    {
        await Task.Yield();
        for (int seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            bool extended = seed % 2 == 1;
            byte[] expected = (byte[])Data.Clone();
            var cuts = Enumerable.Range(0, random.Next(12)).Select(_ => random.Next(1, expected.Length)).Append(0).Append(expected.Length).Distinct().Order().ToArray();
            var pieces = cuts.Zip(cuts.Skip(1)).ToArray();
            random.Shuffle(pieces);
            var messages = new List<byte[]>();
            for (int i = 0; i < pieces.Length; i++)
            {
                var (from, to) = pieces[i];
                ulong? header = extended ? Offset : null;
                bool isDone = i == pieces.Length - 1;
                if (random.Next(3) == 0)
                {
                    Array.Clear(expected, from, to - from);
                    messages.Add(ServerBytes.HoleChunk(Cookie, (ulong)(Offset + from), (uint)(to - from), isDone, header));
                }
                else
                {
                    messages.Add(ServerBytes.DataChunk(Cookie, (ulong)(Offset + from), Data.AsSpan(from, to - from), isDone, header));
                }
            }

            var target = new RecordingTarget(Cookie, NbdCommand.Read, Offset, expected.Length);
            Run(messages, target, Export(extended));
            Assert.Equal(NbdErrno.Ok, Assert.Single(target.Finished).Error);
            Assert.Equal(expected, target.Buffer);
            Assert.Equal(0, target.Borrowed);
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task ErrorThenData_StaysAnError()
    {
        await Task.Yield();
        var target = new RecordingTarget(Cookie, NbdCommand.Read, Offset, Data.Length);
        Run([ServerBytes.ErrorChunk(Cookie, NbdErrno.NoMem, "short of memory", Offset + 3, isDone: false), ServerBytes.DataChunk(Cookie, Offset, Data)], target, Export(extended: false));
        var slot = Assert.Single(target.Finished);
        Assert.Equal(NbdErrno.NoMem, slot.Error);
        Assert.Contains("short of memory", slot.ErrorText, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task DataThenError_StaysAnError_AndTheFirstErrorCounts()
    {
        await Task.Yield();
        var target = new RecordingTarget(Cookie, NbdCommand.Read, Offset, Data.Length);
        Run(
            [
                ServerBytes.DataChunk(Cookie, Offset, Data, isDone: false),
                ServerBytes.ErrorChunk(Cookie, NbdErrno.NoSpc, isDone: false),
                ServerBytes.ErrorChunk(Cookie, NbdErrno.Io),
            ],
            target,
            Export(extended: false));
        Assert.Equal(NbdErrno.NoSpc, Assert.Single(target.Finished).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task UnknownErrorChunk_IsAnError()
    {
        await Task.Yield();
        var target = new RecordingTarget(Cookie, NbdCommand.Read, Offset, Data.Length);
        Run([ServerBytes.Chunk(Cookie, (NbdChunkType)0x8123, [0, 0, 0, 28, 0, 2, 104, 105, 1, 2, 3])], target, Export(extended: false));
        Assert.Equal(NbdErrno.NoSpc, Assert.Single(target.Finished).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task SimpleErrorToARead_IsTakenWhereStructuredRepliesWereAgreed()
    {
        await Task.Yield();
        var target = new RecordingTarget(Cookie, NbdCommand.Read, Offset, Data.Length);
        Run([ServerBytes.Simple(Cookie, NbdErrno.Inval)], target, Export(extended: false));
        Assert.Equal(NbdErrno.Inval, Assert.Single(target.Finished).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task Status_IsJoinedCutAndLimited()
    {
        await Task.Yield();
        var target = new RecordingTarget(Cookie, NbdCommand.BlockStatus, Offset, 1000, extentLimit: 2);
        Run([ServerBytes.StatusChunk(Cookie, Context, [(10, 0), (20, 0), (30, 3), (5, 0), (100_000, 2)])], target, Export(extended: false));
        Assert.Equal(
            [new Extent(Offset, 30, ExtentKind.Data), new Extent(Offset + 30, 30, ExtentKind.Hole | ExtentKind.Zero)], Assert.Single(target.Finished).Extents);
        target = new RecordingTarget(Cookie, NbdCommand.BlockStatus, Offset, 1000, extentLimit: 20);
        Run([ServerBytes.StatusChunk(Cookie, Context, [(10, 0), (100_000, 2)])], target, Export(extended: false));
        Assert.Equal([new Extent(Offset, 10, ExtentKind.Data), new Extent(Offset + 10, 990, ExtentKind.Zero)], Assert.Single(target.Finished).Extents);
    }

    [Fact(Timeout = 120_000)]
    public async Task Status_WithNumbersOf64Bits_DoesNotOverflow()
    {
        await Task.Yield();
        var target = new RecordingTarget(Cookie, NbdCommand.BlockStatus, Offset, 1000, extentLimit: 20);
        Run(
            [ServerBytes.StatusChunk(Cookie, Context, [(long.MaxValue, 0xFFFF_FFFF_0000_0001)], extendedOffset: Offset)], target, Export(extended: true));
        Assert.Equal([new Extent(Offset, 1000, ExtentKind.Hole)], Assert.Single(target.Finished).Extents);
        target = new RecordingTarget(Cookie, NbdCommand.BlockStatus, Offset, 1000, extentLimit: 20);
        AssertLie([ServerBytes.StatusChunk(Cookie, Context, [(ulong.MaxValue, 0)], extendedOffset: Offset)], NbdCommand.BlockStatus, extended: true);
        byte[] wrongCount = ServerBytes.StatusChunk(Cookie, Context, [(10, 0)], extendedOffset: Offset);
        BinaryPrimitives.WriteUInt32BigEndian(wrongCount.AsSpan(ChunkHeader.ExtendedSize + 4), 0x1000_0001);
        AssertLie([wrongCount], NbdCommand.BlockStatus, extended: true);
    }

    [Fact(Timeout = 120_000)]
    public async Task WhereExtendedHeadersWereAgreed_OthersAreAProtocolError()
    {
        await Task.Yield();
        AssertLie([ServerBytes.DataChunk(Cookie, Offset, Data)], NbdCommand.Read, extended: true);
        AssertLie([ServerBytes.Simple(Cookie, NbdErrno.Io), new byte[16]], NbdCommand.Read, extended: true);
        AssertLie([ServerBytes.DataChunk(Cookie, Offset, Data, extendedOffset: Offset + 1)], NbdCommand.Read, extended: true);
        AssertLie([ServerBytes.Chunk(Cookie, NbdChunkType.OffsetData, new byte[8], extendedOffset: Offset, length: ulong.MaxValue)], NbdCommand.Read, extended: true);
        AssertLie([ServerBytes.Chunk(Cookie, NbdChunkType.BlockStatus, new byte[12], extendedOffset: Offset)], NbdCommand.BlockStatus, extended: true);
    }

    [Fact(Timeout = 120_000)]
    public async Task AbandonedRead_IsReadPast()
    {
        await Task.Yield();
        var target = new RecordingTarget(Cookie, NbdCommand.Read, Offset, Data.Length) { IsAbandoned = true };
        Run([ServerBytes.DataChunk(Cookie, Offset, Data.AsSpan(0, 400), isDone: false), ServerBytes.HoleChunk(Cookie, Offset + 400, 600)], target, Export(extended: false));
        Assert.Single(target.Finished);
        Assert.Equal(new byte[Data.Length], target.Buffer);
    }

    [Fact(Timeout = 120_000)]
    public async Task StreamThatEndsAtAnyByte_IsNoAnswer()
    {
        await Task.Yield();
        foreach (bool extended in new[] { false, true })
        {
            ulong? header = extended ? Offset : null;
            byte[] whole =
            [
                .. ServerBytes.HoleChunk(Cookie, Offset, 400, isDone: false, header),
                .. ServerBytes.DataChunk(Cookie, Offset + 400, Data.AsSpan(400), isDone: false, header),
                .. ServerBytes.ErrorChunk(Cookie, NbdErrno.Io, "x", Offset, isDone: true, header),
            ];
            for (int length = 0; length < whole.Length; length++)
            {
                var target = new RecordingTarget(Cookie, NbdCommand.Read, Offset, Data.Length);
                var error = Record.Exception(() => Run([whole[..length]], target, Export(extended)));
                Assert.True(error is null or EndOfStreamException, $"{error}");
                Assert.Empty(target.Finished);
                Assert.Equal(0, target.Borrowed);
            }
        }
    }

    internal static ExportDescription Export(bool extended, bool structured = true) => new()
    {
        Size = 1 << 20,
        Flags = ServerScript.AllFlags,
        StructuredReplies = structured,
        ExtendedHeaders = extended,
        AllocationContext = Context,
    };

    private static void Run(IEnumerable<byte[]> messages, RecordingTarget target, ExportDescription export)
    {
        using var stream = new MemoryStream([.. messages.SelectMany(m => m)]);
        var wire = new WireReader(stream, new byte[16 << 10]);
        var reader = new ReplyReader(wire, target, export);
        do
        {
            reader.ReadMessage();
        }
        while (wire.Buffered > 0 || stream.Position < stream.Length);
    }

    private static void AssertLie(byte[][] messages, NbdCommand command, bool extended = false)
    {
        var target = new RecordingTarget(Cookie, command, Offset, Data.Length, extentLimit: 100);
        var error = Assert.Throws<BackendException>(() => Run(messages, target, Export(extended)));
        Assert.Equal(BackendError.Protocol, error.Error);
        Assert.Equal(0, target.Borrowed);
    }
}
