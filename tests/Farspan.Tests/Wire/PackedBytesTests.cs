using System.Buffers.Binary;
using System.IO.Compression;
using Farspan.Wire.Protocol;
using Xunit;

namespace Farspan.Tests.Wire;

public sealed class PackedBytesTests
{
    private const int Zeroes = PackedBytes.ZeroFlag;
    private const int Both = PackedBytes.ZeroFlag | PackedBytes.CompressFlag;

    [Fact]
    public void Zeroes_AreLeftOut_InGoldenBytes()
    {
        byte[] bytes = new byte[16 << 10];
        bytes.AsSpan(4096, 4096).Fill(7);
        int length = PackedBytes.Pack(bytes, Zeroes, 64 << 10);
        Assert.Equal(4096 + (3 * 8) + 4, length);
        Assert.Equal("0010000000000000" + "0010000000100000" + "0020000000000000" + "03000000", Convert.ToHexString(bytes.AsSpan(4096, length - 4096)));
        Assert.False(bytes.AsSpan(0, 4096).ContainsAnyExcept((byte)7));
        Assert.Equal("000010000000000001000000", Convert.ToHexString(Packed(new byte[1 << 20], Zeroes)));
    }

    [Fact]
    public void AnyRange_ComesBack_AndNeverGrows()
    {
        var random = new Random(1);
        for (int i = 0; i < 3000; i++)
        {
            byte[] bytes = Mixed(random, random.Next(1, 200_000));
            int flags = random.Next(3) switch { 0 => 0, 1 => Zeroes, _ => Both };
            byte[] packed = Packed(bytes, flags, 512 << random.Next(12));
            Assert.True(packed.Length <= bytes.Length);
            byte[] back = new byte[bytes.Length];
            random.NextBytes(back);
            if (packed.Length == bytes.Length)
                packed.CopyTo(back, 0);
            else
                Assert.True(PackedBytes.TryUnpack(packed, back, flags));
            Assert.Equal(bytes, back);
        }
    }

    [Fact]
    public void WhatBarelyShrinks_IsNotCompressed()
    {
        byte[] random = new byte[64 << 10];
        new Random(1).NextBytes(random);
        Assert.Equal(random, Packed(random, Both));

        // A tenth of it repeats.
        random.AsSpan(0, 6400).Fill(1);
        Assert.Equal(random, Packed(random, Both));
        random.AsSpan(0, 16_000).Fill(1);
        Assert.InRange(Packed(random, Both).Length, 40_000, 56 << 10);
    }

    [Fact]
    public void HostilePayloads_AreRefused()
    {
        byte[] target = new byte[8192];
        byte[] text = Brotli(new byte[4096].AsSpan(), fill: 3);
        byte[] bomb = Brotli(new byte[1 << 20].AsSpan(), fill: 3);
        Assert.True(Try([text, text], (4096, text.Length), (4096, text.Length)));

        // Too much, too little, cut, with something behind it, and where it was not asked for.
        Assert.False(Try([bomb], (8192, bomb.Length)));
        Assert.False(Try([text], (8192, text.Length)));
        Assert.False(Try([text[..^1]], (4096, text.Length - 1), (4096, 0)));
        Assert.False(Try([text, [0]], (4096, text.Length + 1), (4096, 0)));
        Assert.False(Try([[1, 2, 3, 4, 5]], (4096, 5), (4096, 0)));
        Assert.False(PackedBytes.TryUnpack(Payload([text, text], (4096, text.Length), (4096, text.Length)), target, Zeroes));

        // Segments that overlap, leave bytes, are empty, store more than they are or than there is.
        byte[] half = new byte[4096];
        Assert.True(Try([half], (4096, 4096), (4096, 0)));
        Assert.False(Try([half], (4096, 4096), (4096, 4096)));
        Assert.False(Try([half], (8192, 0)));
        Assert.False(Try([], (4096, 0)));
        Assert.False(Try([], (4096, 0), (4097, 0)));
        Assert.False(Try([], (8192, 0), (0, 0)));
        Assert.False(Try([half], (8192, 4096), (-4096, 0)));
        Assert.False(Try([half], (2048, 4096), (6144, 0)));
        Assert.False(Try([], (-1, 0), (8193, 0)));
        Assert.False(Try([], (8192, 1)));
        Assert.False(PackedBytes.TryUnpack([], target, Both));
        Assert.False(PackedBytes.TryUnpack(new byte[12], target, Both));
        foreach (uint count in (uint[])[2, 3, 1 << 29, 0x20000001, uint.MaxValue])
        {
            byte[] payload = Payload([], (8192, 0));
            BinaryPrimitives.WriteUInt32LittleEndian(payload.AsSpan(^4), count);
            Assert.False(PackedBytes.TryUnpack(payload, target, Both));
        }

        bool Try(byte[][] stored, params (int Length, int Stored)[] table) => PackedBytes.TryUnpack(Payload(stored, table), target, Both);
    }

    [Fact]
    public void ChangedPayloads_FillTheTargetOrAreRefused_AndNothingElse()
    {
        int cases = int.TryParse(Environment.GetEnvironmentVariable("FARSPAN_FUZZ_CASES"), out int asked) ? asked : 5000;
        var random = new Random(2);
        byte[] bytes = Mixed(random, 50_000);
        byte[] whole = Packed(bytes, Both, 4096);
        byte[] room = new byte[bytes.Length + 200];
        int refused = 0;
        for (int i = 0; i < cases; i++)
        {
            byte[] changed = [.. whole];
            for (int changes = random.Next(1, 4); changes > 0; changes--)
            {
                int at = random.Next(2) == 0 ? random.Next(changed.Length) : changed.Length - 1 - random.Next(Math.Min(changed.Length, 120));
                changed[at] = (byte)random.Next(256);
            }

            room.AsSpan().Fill(0xAA);
            var payload = changed.AsSpan(0, random.Next(4) == 0 ? random.Next(changed.Length) : changed.Length);
            refused += PackedBytes.TryUnpack(payload, room.AsSpan(100, bytes.Length), Both) ? 0 : 1;
            Assert.False(room.AsSpan(0, 100).ContainsAnyExcept((byte)0xAA) || room.AsSpan(^100).ContainsAnyExcept((byte)0xAA));
        }

        Assert.InRange(refused, cases / 10, cases);
    }

    /// <summary>Zeroes, text that shrinks and noise, in pieces of any length.</summary>
    private static byte[] Mixed(Random random, int length)
    {
        byte[] bytes = new byte[length];
        for (int at = 0; at < length;)
        {
            var piece = bytes.AsSpan(at, Math.Min(length - at, random.Next(1, 30_000)));
            int kind = random.Next(3);
            if (kind == 1)
                random.NextBytes(piece);
            for (int i = 0; kind == 2 && i < piece.Length; i++)
                piece[i] = (byte)("region"[i % 6] + (i / 500));
            at += piece.Length;
        }

        return bytes;
    }

    private static byte[] Packed(byte[] bytes, int flags, int chunkSize = 64 << 10)
    {
        byte[] copy = [.. bytes];
        return copy[..PackedBytes.Pack(copy, flags, chunkSize)];
    }

    private static byte[] Payload(byte[][] stored, params (int Length, int Stored)[] table)
        => [
            .. stored.SelectMany(static bytes => bytes),
            .. table.SelectMany(static record => BitConverter.GetBytes(record.Length).Concat(BitConverter.GetBytes(record.Stored))),
            .. BitConverter.GetBytes(table.Length),
        ];

    private static byte[] Brotli(Span<byte> bytes, byte fill)
    {
        bytes.Fill(fill);
        byte[] room = new byte[bytes.Length];
        Assert.True(BrotliEncoder.TryCompress(bytes, room, out int length, 1, 16));
        return room[..length];
    }
}
