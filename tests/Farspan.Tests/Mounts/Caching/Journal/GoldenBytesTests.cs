using System.Buffers;
using Farspan.Chunks;
using Farspan.Mounts.Caching.Journal;
using Xunit;

namespace Farspan.Tests.Mounts.Caching.Journal;

/// <summary>The bytes of docs/wire/cache-journal.md.</summary>
public sealed class GoldenBytesTests
{
    [Fact(Timeout = 120_000)]
    public Task Header_HasItsBytes()
    {
        var header = new JournalHeader(2, 1 << 20, 4096, "boot", "memory:1MiB", 40);
        Assert.Equal(
            "465350434143484501000000" + "4C000000" + "0200000000000000" + "0000100000000000" + "00100000" + "04000000" + "2800000000000000"
            + "0B000000" + "00000000" + "626F6F74" + "6D656D6F72793A314D6942" + "00" + "BB075507",
            Convert.ToHexString(header.ToBytes()));
        Assert.Equal(header, JournalHeader.TryRead(header.ToBytes()));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Frame_HasItsBytes()
    {
        byte[] bytes = new byte[FrameHeader.Size];
        var header = new FrameHeader(16, 7, 300, 0x01020304);
        header.Write(bytes, generation: 2);
        Assert.Equal("46534A46" + "10000000" + "0700000000000000" + "2C01000000000000" + "04030201" + "91A04109", Convert.ToHexString(bytes));
        Assert.True(FrameHeader.TryRead(bytes, 2, out var read));
        Assert.Equal(header, read);
        Assert.False(FrameHeader.TryRead(bytes, 3, out _));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Records_HaveTheirBytes()
    {
        AssertBytes(w => JournalRecord.WriteDirty(w, 5, [(512, 1024), (2048, 2056)]), "01000000" + "02000000" + "0500000000000000" + "00020000" + "00020000" + "00080000" + "08000000");
        AssertBytes(w => JournalRecord.Write(w, RecordKind.Whole, 5, 2), "02000000" + "02000000" + "0500000000000000");
        AssertBytes(w => JournalRecord.WriteChecksums(w, RecordKind.Clean, 1, [1, 0xAABBCCDD]), "03000000" + "02000000" + "0100000000000000" + "01000000" + "DDCCBBAA");
        AssertBytes(w => JournalRecord.WriteChecksums(w, RecordKind.Unproven, 1, [2]), "04000000" + "01000000" + "0100000000000000" + "02000000");
        AssertBytes(w => JournalRecord.Write(w, RecordKind.Discard, 3, 1), "05000000" + "01000000" + "0300000000000000");
        AssertBytes(w => JournalRecord.Write(w, RecordKind.Checkpoint, 9), "06000000" + "00000000" + "0900000000000000");
        AssertBytes(w => JournalRecord.Write(w, RecordKind.Closed), "07000000" + "00000000" + "0000000000000000");
        AssertBytes(w => JournalRecord.Write(w, RecordKind.Fault), "08000000" + "00000000" + "0000000000000000");
        AssertBytes(w => JournalRecord.Write(w, RecordKind.Zero, 3, 2), "09000000" + "02000000" + "0300000000000000");
        AssertBytes(w => JournalRecord.Write(w, RecordKind.ForgetClean, 0, 16), "0A000000" + "10000000" + "0000000000000000");
        return Task.CompletedTask;
    }

    private static void AssertBytes(Action<ArrayBufferWriter<byte>> write, string hex)
    {
        var writer = new ArrayBufferWriter<byte>();
        write(writer);
        Assert.Equal(hex, Convert.ToHexString(writer.WrittenSpan));
        var rest = writer.WrittenSpan;
        Assert.True(JournalRecord.TryRead(ref rest, new ChunkLayout(16 * 4096, 4096), out _));
        Assert.True(rest.IsEmpty);
    }
}
