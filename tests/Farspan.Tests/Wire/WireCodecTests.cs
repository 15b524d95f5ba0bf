using Farspan.Backends;
using Farspan.Wire.Protocol;
using Farspan.Backends.Leases;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>The bytes of docs/wire/farspan.md.</summary>
public sealed class WireCodecTests
{
    private static readonly Guid Session = new("00112233-4455-6677-8899-aabbccddeeff");

    [Fact]
    public void Request_HasItsGoldenBytes()
    {
        byte[] bytes = new byte[WireFrame.Size];
        var frame = new WireFrame(WireOperation.Write, 0, 0x01020304, 4096, 7, 0x1000, 4096, 0xDEADBEEF);
        frame.WriteRequest(bytes);
        Assert.Equal(
            "46537271020000000403020100100000" + "07000000000000000010000000000000" + "0010000000000000EFBEADDE", Convert.ToHexString(bytes.AsSpan(0, 44)));
        Assert.True(WireFrame.TryReadRequest(bytes, out var read));
        Assert.Equal(frame, read);
        Assert.False(WireFrame.TryReadReply(bytes, out _));
    }

    [Fact]
    public void Reply_HasItsGoldenBytes()
    {
        byte[] bytes = new byte[WireFrame.Size];
        new WireFrame(WireOperation.Read, (ushort)WireStatus.Fenced, 5, 0, 0, 0, 512, 0).WriteReply(bytes);
        Assert.Equal(
            "4653727001000F000500000000000000" + "00000000000000000000000000000000" + "000200000000000000000000", Convert.ToHexString(bytes.AsSpan(0, 44)));
        Assert.True(WireFrame.TryReadReply(bytes, out var read));
        Assert.Equal(WireStatus.Fenced, read.Status);
    }

    [Fact]
    public void Hellos_HaveTheirGoldenBytes()
    {
        byte[] bytes = new byte[ClientHello.Size];
        new ClientHello(1, 1, (WireCapabilities)0xFFFFFFFF, Session, 2, 4, 0x11223344).Write(bytes);
        Assert.Equal(
            "4641525350414E0A01000100FFFFFFFF" + "33221100554477668899AABBCCDDEEFF" + "020000000400000044332211", Convert.ToHexString(bytes.AsSpan(0, 44)));
        Assert.True(ClientHello.TryRead(bytes, out var hello));
        Assert.Equal(Session, hello.Session);

        bytes = new byte[ServerHello.Size];
        var answer = new ServerHello(1, WireStatus.Done, WireCapabilities.Trim | WireCapabilities.Leasing, Session, 1 << 20, 1, 4096, 65536, 65536, 256, 8, 30_000, 0, 0);
        answer.Write(bytes);
        Assert.Equal(
            "6661727370616E0A0100000022000000" + "33221100554477668899AABBCCDDEEFF" + "00001000000000000100000000100000"
                + "000001000000010000010000080000003075000000000000" + "00000000",
            Convert.ToHexString(bytes.AsSpan(0, 76)));
        Assert.True(ServerHello.TryRead(bytes, out var read));
        Assert.Equal(answer, read);
    }

    [Fact]
    public void AnyChangedBit_OfAHeader_IsNoticed()
    {
        byte[] request = new byte[WireFrame.Size];
        new WireFrame(WireOperation.Read, 0, 1, 0, 0, 0, 512, 0).WriteRequest(request);
        byte[] hello = new byte[ClientHello.Size];
        new ClientHello(1, 1, WireCapabilities.None, Session, 0, 0, 0).Write(hello);
        byte[] answer = new byte[ServerHello.Size];
        new ServerHello(1, WireStatus.Done, 0, Session, 1, 1, 512, 512, 4096, 1, 1, 1, 0, 0).Write(answer);
        foreach (byte[] bytes in (byte[][])[request, hello, answer])
        {
            for (int bit = 0; bit < bytes.Length * 8; bit++)
            {
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.False(WireFrame.TryReadRequest(bytes, out _) || ClientHello.TryRead(bytes, out _) || ServerHello.TryRead(bytes, out _));
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            }
        }
    }

    [Fact]
    public void EveryError_GoesThereAndBack()
    {
        var seen = new HashSet<WireStatus>();
        foreach (var error in Enum.GetValues<BackendError>())
        {
            var status = WireStatusMap.ToStatus(error);
            Assert.True(seen.Add(status));
            Assert.Equal(error, WireStatusMap.ToError(status));
        }

        Assert.Equal(BackendError.InputOutput, WireStatusMap.ToError((WireStatus)999));
    }

    [Fact]
    public void WhatIsThrown_HasItsStatus_AndDefectsTellNothingMore()
    {
        Assert.Equal((WireStatus.NoSpace, "Full."), WireStatusMap.Explain(new BackendException(BackendError.NoSpace, "Full.")));
        Assert.Equal(WireStatus.ShuttingDown, WireStatusMap.Explain(new OperationCanceledException()).Status);
        Assert.Equal(WireStatus.ShuttingDown, WireStatusMap.Explain(new ObjectDisposedException("export")).Status);
        Assert.Equal(WireStatus.Invalid, WireStatusMap.Explain(new ArgumentOutOfRangeException("offset")).Status);
        Assert.Equal(WireStatus.NoMemory, WireStatusMap.Explain(new InsufficientMemoryException()).Status);
        var (status, message) = WireStatusMap.Explain(new InvalidOperationException("at /srv/secret"));
        Assert.Equal(WireStatus.InputOutput, status);
        Assert.DoesNotContain("secret", message, StringComparison.Ordinal);
    }

    [Fact]
    public void LongText_IsCutBetweenCharacters()
    {
        Assert.Equal("aé", WireLimits.Decode(WireLimits.Encode("aéé", 4)));
        Assert.Null(WireLimits.Decode([0xC3]));
        Assert.True(LeaseRequest.TryRead(new LeaseRequest(Session, "me").ToBytes(), out var lease));
        Assert.Equal("me", lease.Holder);
        Assert.False(LeaseRequest.TryRead(new byte[15], out _));
    }

    [Fact]
    public void LeaseFile_SurvivesATornWrite()
    {
        using var directory = new Farspan.TestKit.TemporaryDirectory();
        string path = directory["lease"];
        var file = new EpochFile(path, TimeProvider.System);
        long first = file.NextEpoch();
        file.Save(new LeaseRecord(first, first, Session, Session, "one"));
        file.Save(new LeaseRecord(first, first, Guid.Empty, Session, "one"));
        Assert.Equal(Guid.Empty, new EpochFile(path, TimeProvider.System).Last!.Session);
        file.Save(new LeaseRecord(first + 1, first, Session, Session, "two"));
        Assert.Equal("two", new EpochFile(path, TimeProvider.System).Last!.Holder);
        byte[] bytes = File.ReadAllBytes(path);
        bytes[20] ^= 1;
        File.WriteAllBytes(path, bytes);
        var torn = new EpochFile(path, TimeProvider.System);
        Assert.Equal(first, torn.Last!.Epoch);
        Assert.Equal(first + 1, torn.NextEpoch());
        bytes[520] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Equal(BackendError.Corrupt, Assert.Throws<BackendException>(() => new EpochFile(path, TimeProvider.System)).Error);
    }
}
