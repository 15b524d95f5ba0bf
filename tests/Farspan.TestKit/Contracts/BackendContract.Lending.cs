using Farspan.Backends;
using Xunit;

namespace Farspan.TestKit.Contracts;

public abstract partial class BackendContract
{
    [Fact(Timeout = TimeLimit)]
    public async Task Lent_AreTheStoredBytes_AndShowLaterWrites()
    {
        await using var backend = await CreateAlignedAsync();
        if (backend.GetCapability<IMemoryLender>() is not { } lender)
            return;
        byte[] first = BackendModel.Bytes(30, (int)backend.Length);
        byte[] second = BackendModel.Bytes(31, (int)backend.Length);
        await backend.WriteAsync(0, first);
        int offset = 0;
        while (offset < first.Length)
        {
            Assert.True(lender.TryLend(offset, first.Length - offset, out var lent), $"Nothing was lent at {offset}, which is written.");
            using (lent)
            {
                int length = lent.Memory.Length;
                Assert.InRange(length, 1, first.Length - offset);
                Assert.True(lent.Memory.Span.SequenceEqual(first.AsSpan(offset, length)));
                await backend.WriteAsync(offset, second.AsMemory(offset, length));
                Assert.True(lent.Memory.Span.SequenceEqual(second.AsSpan(offset, length)));
                offset += length;
            }
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Lent_StayReadable_WhileTheirRangeIsTrimmedAndTheBackendDisposed()
    {
        var backend = await CreateAlignedAsync();
        if (backend.GetCapability<IMemoryLender>() is { } lender)
        {
            byte[] data = BackendModel.Bytes(32, (int)backend.Length);
            await backend.WriteAsync(0, data);
            Assert.True(lender.TryLend(0, data.Length, out var lent));
            int length = lent.Memory.Length;
            if (backend.GetCapability<ITrim>() is { } trim)
                await trim.TrimAsync(0, backend.Length);
            AssertOldOrZero(lent.Memory.Span, data);
            await backend.WriteAsync(0, BackendModel.Bytes(33, data.Length));
            Assert.Equal(length, lent.Memory.ToArray().Length);
            await backend.DisposeAsync();
            Assert.Equal(length, lent.Memory.ToArray().Length);
            lent.Dispose();
            Assert.Throws<ObjectDisposedException>(() => lender.TryLend(0, Alignment, out _));
        }

        await backend.DisposeAsync();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Lend_ChecksItsRange()
    {
        await using var backend = await CreateAlignedAsync();
        if (backend.GetCapability<IMemoryLender>() is not { } lender)
            return;
        foreach (var (offset, length) in RangesOutside(backend.Length))
            Assert.Throws<ArgumentOutOfRangeException>(() => lender.TryLend(offset, (int)length, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => lender.TryLend(0, -1, out _));
        Assert.False(lender.TryLend(0, 0, out _));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OpenedInPlace_IsWritten_AndChecksItsRangeAndLife()
    {
        var backend = await CreateAlignedAsync();
        if (backend.GetCapability<IInPlaceWriter>() is { } writer)
        {
            foreach (var (offset, length) in RangesOutside(backend.Length))
                Assert.Throws<ArgumentOutOfRangeException>(() => writer.TryOpen(offset, (int)length, out _));
            Assert.Throws<ArgumentOutOfRangeException>(() => writer.TryOpen(0, -1, out _));
            Assert.False(writer.TryOpen(0, 0, out _));
            byte[] data = BackendModel.Bytes(35, (int)backend.Length);
            for (int done = 0; done < data.Length;)
            {
                Assert.True(writer.TryOpen(done, data.Length - done, out var open));
                Assert.InRange(open.Memory.Length, 1, data.Length - done);
                data.AsMemory(done, open.Memory.Length).CopyTo(open.Memory);
                done += open.Memory.Length;
                open.Dispose();
            }

            var buffer = Filled(backend.Length);
            await backend.ReadAsync(0, buffer);
            Assert.Equal(data, buffer);
            await backend.DisposeAsync();
            Assert.Throws<ObjectDisposedException>(() => writer.TryOpen(0, Alignment, out _));
        }

        await backend.DisposeAsync();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LoansAndReads_DuringTrimsAndWrites_SeeOnlyWhatWasThere()
    {
        await using var backend = await CreateAlignedAsync();
        var trim = backend.GetCapability<ITrim>();
        var lender = backend.GetCapability<IMemoryLender>();
        if (trim is null && lender is null)
            return;
        byte[] data = BackendModel.Bytes(34, (int)backend.Length);
        await backend.WriteAsync(0, data);
        var writer = Task.Run(async () =>
        {
            for (int i = 0; i < 20; i++)
            {
                if (trim is not null)
                    await trim.TrimAsync(0, backend.Length);
                await backend.WriteAsync(0, data);
            }
        });
        var readers = Enumerable.Range(0, 3).Select(reader => Task.Run(async () =>
        {
            var random = new Random(reader);
            while (!writer.IsCompleted)
            {
                var (offset, length) = Align(random.Next(data.Length - Alignment), 1 + random.Next(100_000), data.Length);
                if (lender is not null && lender.TryLend(offset, length, out var lent))
                {
                    using (lent)
                        AssertOldOrZero(lent.Memory.Span, data.AsSpan((int)offset, lent.Memory.Length));
                }

                var buffer = Filled(length);
                await backend.ReadAsync(offset, buffer);
                AssertOldOrZero(buffer, data.AsSpan((int)offset, length));
            }
        })).ToArray();
        await writer;
        await Task.WhenAll(readers);
    }

    private static void AssertOldOrZero(ReadOnlySpan<byte> actual, ReadOnlySpan<byte> old)
    {
        for (int i = 0; i < actual.Length; i++)
        {
            // One look: lent bytes change meanwhile.
            byte seen = Volatile.Read(in actual[i]);
            if (seen != old[i] && seen != 0)
                Assert.Fail($"Byte {i} of {actual.Length} is {seen:X2}: neither {old[i]:X2}, which was there, nor zero.");
        }
    }
}
