using Farspan.Checksums;
using Farspan.Migration;
using Xunit;

namespace Farspan.Tests.Migration;

public sealed class RegionRecordTests
{
    private static readonly RegionRecord Record = new(
        RegionRole.HandedOver, new Guid("01020304-0506-0708-090a-0b0c0d0e0f10"), 0x1122, new Guid("a1a2a3a4-a5a6-a7a8-a9aa-abacadaeafb0"));

    [Fact(Timeout = 120_000)]
    public Task ARecord_HasItsBytes()
    {
        byte[] bytes = new byte[RegionRecord.Size];
        Record.Write(bytes);
        Assert.Equal(
            "4653524547494F4E" + "01000000" + "02000000" + "0403020106050807090A0B0C0D0E0F10" + "A4A3A2A1A6A5A8A7A9AAABACADAEAFB0" + "2211000000000000" + "00000000" + "B466A85A",
            Convert.ToHexString(bytes));
        Assert.True(RegionRecord.TryRead(bytes, out var read));
        Assert.Equal(Record, read);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task EveryBitThatFlips_IsSeen()
    {
        byte[] bytes = new byte[RegionRecord.Size];
        Record.Write(bytes);
        for (int bit = 0; bit < 8 * bytes.Length; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(RegionRecord.TryRead(bytes, out _));
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        for (int length = 0; length < bytes.Length; length++)
            Assert.False(RegionRecord.TryRead(bytes.AsSpan(0, length), out _));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task WhatNoHostWrites_IsRefused()
    {
        foreach (var record in new[]
        {
            Record with { Role = RegionRole.None }, Record with { Role = (RegionRole)7 }, Record with { Token = Guid.Empty }, Record with { Region = Guid.Empty },
            Record with { Epoch = 1 }, new RegionRecord(RegionRole.Owner, Record.Region, 0, Guid.Empty), new RegionRecord(RegionRole.Following, default, 0, default),
        })
        {
            byte[] bytes = new byte[RegionRecord.Size];
            record.Write(bytes);
            Assert.False(RegionRecord.TryRead(bytes, out _), record.ToString());
        }

        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task AnotherVersion_IsRefused()
    {
        byte[] bytes = new byte[RegionRecord.Size];
        Record.Write(bytes);
        bytes[8] = 2;
        BitConverter.TryWriteBytes(bytes.AsSpan(60), Crc32C.Compute(bytes.AsSpan(0, 60)));
        Assert.False(RegionRecord.TryRead(bytes, out _));
        return Task.CompletedTask;
    }
}
