using System.Buffers;
using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Chunks;
using Farspan.Mounts.Remotes;

namespace Farspan.Mounts.Pulling;

/// <summary>Carries out one pull: fetches a run of chunks and puts into the cache what nobody has written there meanwhile.</summary>
internal sealed class PullWork(MountCore mount, Evictor evictor, TransferWindow window, ByteBudget budget)
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(5);

    /// <summary>Runs a pull until it succeeds, fails for good, or is worth no further try.</summary>
    /// <exception cref="BackendException">The cache failed.</exception>
    public async Task RunAsync(Pull pull, bool hasBudget)
    {
        var delay = FirstDelay;
        long? failingSince = null;
        int length = (int)mount.BytesOf(pull.FirstChunk, pull.Count);
        await mount.Ready.WaitAsync(CancellationToken.None);
        while (true)
        {
            if (!hasBudget)
                await budget.TakeAsync(length);
            hasBudget = false;
            byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
            try
            {
                pull.Restart();
                if (await FetchAsync(pull, buffer.AsMemory(0, length)))
                {
                    await InstallAsync(pull, buffer.AsMemory(0, length));
                    return;
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
                budget.Return(length);
            }

            failingSince ??= mount.Clock.GetTimestamp();
            pull.IsGivenUp = mount.Clock.GetElapsedTime(failingSince.Value) > mount.Options.OutageTimeout;
            if (pull.IsGivenUp || !await WaitForAnotherTryAsync(pull, delay))
                return;
            delay = delay * 2 < LongestDelay ? delay * 2 : LongestDelay;
        }
    }

    /// <summary>Fetches all chunks; false where that may succeed later. A chunk that fails for good is noted in the pull.</summary>
    private async Task<bool> FetchAsync(Pull pull, Memory<byte> buffer)
    {
        var ticket = window.Begin(buffer.Length);
        bool isDelivered = false;
        try
        {
            await mount.Remote.ReadAsync(mount.Layout.OffsetOf(pull.FirstChunk), buffer);
            isDelivered = true;
            return true;
        }
        catch (BackendException error) when (error.IsTransient)
        {
            pull.Failure = error;
            return false;
        }
        catch (BackendException error)
        {
            if (pull.Count > 1 && error.Error != BackendError.ShuttingDown)
                return await FetchOneByOneAsync(pull, buffer);
            pull.Failure = error;
            return true;
        }
        finally
        {
            window.End(ticket, isDelivered);
        }
    }

    /// <summary>One bad chunk must not keep its neighbours from coming.</summary>
    private async Task<bool> FetchOneByOneAsync(Pull pull, Memory<byte> buffer)
    {
        for (long index = pull.FirstChunk; index <= pull.LastChunk; index++)
        {
            try
            {
                await mount.Remote.ReadAsync(mount.Layout.OffsetOf(index), Part(pull, buffer, index));
            }
            catch (BackendException error) when (error.IsTransient)
            {
                pull.Failure = error;
                return false;
            }
            catch (BackendException error)
            {
                pull.Fail(index, error);
            }
        }

        return true;
    }

    private async Task InstallAsync(Pull pull, Memory<byte> buffer)
    {
        if (pull.Failure is not null)
            return;
        await evictor.MakeRoomAsync(pull.Count);
        var hold = await mount.Locks.AcquireAsync(pull.FirstChunk, pull.LastChunk, exclusive: true, CancellationToken.None);
        try
        {
            for (long index = pull.FirstChunk; index <= pull.LastChunk; index++)
            {
                if (pull.FailureOf(index) is null)
                    await InstallAsync(index, Part(pull, buffer, index));
            }
        }
        finally
        {
            mount.Locks.Release(hold);
        }

        evictor.Touch(pull.FirstChunk, pull.Count);
        if (!pull.HasFailed)
            mount.Options.Hooks.BecameLocal?.Invoke(mount.Layout.OffsetOf(pull.FirstChunk), buffer.Length);
    }

    private async ValueTask InstallAsync(long chunkIndex, Memory<byte> bytes)
    {
        long offset = mount.Layout.OffsetOf(chunkIndex);
        RangeSet? gaps;
        bool isPartial;
        bool isClean;
        lock (mount.Gate)
        {
            // Written throughout or made zero since the pull began: the remote's bytes are old.
            if (!mount.Map.IsMissing(chunkIndex))
                return;
            var detail = mount.Map.Find(chunkIndex);
            gaps = detail?.Here.Gaps(0, bytes.Length);
            isPartial = detail is not null;
            isClean = detail is null or { IsClean: true };
        }

        if (gaps is null)
        {
            await mount.Cache.WriteAsync(offset, bytes, CancellationToken.None);
        }
        else
        {
            for (int i = 0; i < gaps.Count; i++)
            {
                var (start, end) = gaps.Ranges[i];
                await mount.Cache.WriteAsync(offset + start, bytes[start..end], CancellationToken.None);
            }
        }

        uint checksum = 0;
        if (isClean && mount.Cache.IsDurable)
            checksum = isPartial ? await mount.ChecksumAsync(chunkIndex) : Crc32C.Compute(bytes.Span);
        lock (mount.Gate)
            mount.Map.SetWhole(chunkIndex);
        if (isClean)
            mount.Cache.NoteClean(chunkIndex, checksum);
        else
            mount.Cache.NoteWhole(chunkIndex);
    }

    private Memory<byte> Part(Pull pull, Memory<byte> buffer, long chunkIndex)
        => buffer.Slice((int)((chunkIndex - pull.FirstChunk) * mount.Layout.ChunkSize), mount.Layout.LengthOf(chunkIndex));

    /// <summary>Waits until a pull that failed has another try, if somebody still waits for it.</summary>
    private async Task<bool> WaitForAnotherTryAsync(Pull pull, TimeSpan delay)
    {
        // Not disposed: the last reader may be about to cancel it.
        var patience = new CancellationTokenSource();
        lock (mount.Gate)
        {
            if (pull.Waiters == 0 || !mount.Outage.MayWait || mount.Closing.IsCancellationRequested)
                return false;
            pull.Patience = patience;
        }

        try
        {
            await using (mount.Closing.Token.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), patience))
            {
                await Task.Delay(delay, mount.Clock, patience.Token);
                await mount.Outage.WaitUntilUpAsync(patience.Token);
            }

            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        finally
        {
            lock (mount.Gate)
                pull.Patience = null;
        }
    }
}
