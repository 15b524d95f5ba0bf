using Farspan.Chunks;
using Farspan.Migration;
using Farspan.TestKit.Simulation;
using Xunit;

namespace Farspan.Tests.Migration;

public sealed class HereLogTests
{
    private const int HeaderSize = 40;
    private const int RecordSize = 24;

    private static readonly ChunkLayout Layout = new(100 * 4096, 4096);

    [Fact(Timeout = 60_000)]
    public async Task WhatWasKeptForAnotherMove_IsNotBelieved()
    {
        await using var files = new SimulatedDisk(1, TimeProvider.System).Open();
        Guid token = Guid.NewGuid(), other = Guid.NewGuid();
        await AddAsync(files, token, 3, 10);
        Assert.Equal([new ChangedRun(3, 1), new ChangedRun(10, 1)], await ReadAsync(files, token, Layout));
        Assert.Empty(await ReadAsync(files, other, Layout));
        Assert.Empty(await ReadAsync(files, token, new ChunkLayout(100 * 4096, 8192)));
        Assert.Empty(await ReadAsync(files, token, new ChunkLayout(99 * 4096, 4096)));

        // What is kept for it then replaces the other one's.
        await AddAsync(files, other, 4);
        Assert.Equal([new ChangedRun(4, 1)], await ReadAsync(files, other, Layout));
    }

    [Fact(Timeout = 60_000)]
    public async Task ARecordInAnotherPlace_EndsTheLog()
    {
        await using var files = new SimulatedDisk(1, TimeProvider.System).Open();
        var token = Guid.NewGuid();
        await AddAsync(files, token, 3, 10, 20);
        await using (var file = await files.OpenAsync(HereLog.Name))
        {
            byte[] record = new byte[RecordSize];
            await file.ReadAsync(HeaderSize, record);
            await file.WriteAsync(HeaderSize + RecordSize, record);
        }

        Assert.Equal([new ChangedRun(3, 1)], await ReadAsync(files, token, Layout));
    }

    private static async Task AddAsync(SimulatedDirectory files, Guid token, params int[] chunks)
    {
        var here = new ChunkBitmap(Layout.ChunkCount);
        foreach (int chunk in chunks)
            here.Set(chunk);
        await using var log = new HereLog(files, Layout);
        await log.AddAsync(token, here);
    }

    private static async Task<IReadOnlyList<ChangedRun>> ReadAsync(SimulatedDirectory files, Guid token, ChunkLayout layout)
    {
        await using var log = new HereLog(files, layout);
        return await log.ReadAsync(token);
    }
}
