using System.Buffers;
using Farspan.Mounts.Caching.Journal;
using Xunit;

namespace Farspan.Tests.Mounts.Caching.Journal;

/// <summary>Journals that are whole, cut, damaged or random.</summary>
public sealed class JournalScanTests
{
    private static readonly Action<ArrayBufferWriter<byte>>[] Frames =
    [
        w => JournalRecord.WriteChecksums(w, RecordKind.Clean, 0, [10, 11, 12]),
        w => JournalRecord.WriteDirty(w, 1, [(100, 200), (300, 500)]),
        w => JournalRecord.WriteDirty(w, 5, [(0, 512)]),
        w => JournalRecord.Write(w, RecordKind.Checkpoint, 4),
        w => JournalRecord.WriteDirty(w, 6, [(8, 16)]),
        w => JournalRecord.Write(w, RecordKind.Whole, 5, 1),
        w => JournalRecord.Write(w, RecordKind.Discard, 2, 1),
    ];

    [Fact(Timeout = 120_000)]
    public async Task SameBoot_TrustsEverything()
        => Assert.Equal("0:whole[] 1:whole[100+100,300+200] 5:whole[0+512] 6:part[8+8]", await JournalBytes.SayAsync(JournalBytes.Make(1, Frames).Bytes));

    [Fact(Timeout = 120_000)]
    public async Task OtherBoot_AsksForProof_AndForgetsWhatMayNotBeThere()
        => Assert.Equal("0:whole[]?10 1:whole[0+4096] 5:whole[0+4096]", await JournalBytes.SayAsync(JournalBytes.Make(1, Frames).Bytes, "boot-2"));

    [Fact(Timeout = 120_000)]
    public async Task ClosedInOrder_IsTrustedAfterABoot()
    {
        var closed = JournalBytes.Make(1, [.. Frames, w => JournalRecord.Write(w, RecordKind.Closed)]).Bytes;
        Assert.Equal(await JournalBytes.SayAsync(closed), await JournalBytes.SayAsync(closed, "boot-2"));
        Assert.Contains("6:part", await JournalBytes.SayAsync(closed, "boot-2"), StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task Fault_CountsAsALossOfPower()
    {
        var faulted = JournalBytes.Make(1, [.. Frames, w => JournalRecord.Write(w, RecordKind.Fault)]).Bytes;
        Assert.Equal(await JournalBytes.SayAsync(faulted, "boot-2"), await JournalBytes.SayAsync(faulted));
        Assert.Contains("?10", await JournalBytes.SayAsync(faulted), StringComparison.Ordinal);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(JournalBytes.Boot)]
    [InlineData("boot-2")]
    public async Task CutAnywhere_SaysWhatItsGoodFramesSay(string boot)
    {
        var (bytes, ends) = JournalBytes.Make(1, Frames);
        for (int length = 0; length < bytes.Length; length++)
        {
            int frames = ends.FindLastIndex(end => end <= length);
            string expected = frames < 1 ? "refused" : await JournalBytes.SayAsync(JournalBytes.Make(1, Frames[..frames]).Bytes, boot);
            Assert.Equal(expected, await JournalBytes.SayAsync(bytes[..length], boot));
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task AnyBitFlipped_IsRefused_WhereOnlyAProcessEnded()
    {
        var (bytes, _) = JournalBytes.Make(1, [.. Frames, w => JournalRecord.Write(w, RecordKind.Closed)]);
        for (int bit = 0; bit < bytes.Length * 8; bit++)
        {
            // Of another boot it would be read, and differently; the boot's name has a checksum too.
            byte[] flipped = Flip(bytes, bit);
            Assert.Equal("refused", await JournalBytes.SayAsync(flipped));
            if (bit / 8 < bytes.Length - 48)
                Assert.Equal("refused", await JournalBytes.SayAsync(flipped[..^48]));
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task AnyBitFlipped_AfterALossOfPower_IsRefusedWhereItHadBeenDurable()
    {
        var (bytes, ends) = JournalBytes.Make(1, Frames);
        for (int bit = 0; bit < bytes.Length * 8; bit++)
        {
            int frame = ends.FindLastIndex(end => end <= bit / 8);

            // Frames 0 to 3, of which the last is the checkpoint, are known to be durable to those after them.
            string expected = frame < 4 ? "refused" : await JournalBytes.SayAsync(JournalBytes.Make(1, Frames[..frame]).Bytes, "boot-2");
            Assert.Equal(expected, await JournalBytes.SayAsync(Flip(bytes, bit), "boot-2"));
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task RandomRecordsInGoodFrames_AreTakenOrRefused()
    {
        var random = new Random(1);
        for (int round = 0; round < 3000; round++)
        {
            var frames = new List<byte>(JournalBytes.Header().ToBytes());
            for (int frame = 1; frame < 5; frame++)
            {
                byte[] payload = new byte[4 * random.Next(1, 20)];
                random.NextBytes(payload);
                payload.AsSpan(0, Math.Min(16, payload.Length)).Clear();
                payload[0] = (byte)random.Next(10);
                if (payload.Length > 8)
                    (payload[4], payload[8]) = ((byte)random.Next(5), (byte)random.Next(20));
                for (int item = 16; item + 8 <= payload.Length && random.Next(2) == 0; item += 4)
                    (payload[item + 2], payload[item + 3]) = (0, 0);
                frames.AddRange(JournalBytes.Frame(payload, frame));
            }

            await JournalBytes.SayAsync([.. frames], random.Next(2) == 0 ? JournalBytes.Boot : "boot-2");
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task RandomBytes_AreTakenOrRefused()
    {
        var random = new Random(2);
        var (bytes, _) = JournalBytes.Make(1, Frames);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] mutated = [.. bytes];
            for (int change = random.Next(1, 6); change > 0; change--)
                mutated[random.Next(mutated.Length)] = (byte)random.Next(256);
            await JournalBytes.SayAsync([.. mutated.Take(random.Next(mutated.Length + 1)), .. bytes.Take(random.Next(40))], "boot-2");
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task NewerVersion_IsRefused()
    {
        byte[] bytes = JournalBytes.Make(1, Frames).Bytes;
        bytes[8] = 2;
        var refused = await Assert.ThrowsAsync<Farspan.Backends.BackendException>(
            async () => await JournalScan.ReadAsync(new MemoryCacheFile(bytes), "/cache", JournalBytes.Boot));
        Assert.Equal(Farspan.Backends.BackendError.NotSupported, refused.Error);
        Assert.Contains("format 2", refused.Message, StringComparison.Ordinal);
    }

    private static byte[] Flip(byte[] bytes, int bit)
    {
        byte[] flipped = [.. bytes];
        flipped[bit / 8] ^= (byte)(1 << (bit % 8));
        return flipped;
    }
}
