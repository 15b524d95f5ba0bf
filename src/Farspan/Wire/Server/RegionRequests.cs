using System.Security.Cryptography;
using Farspan.Backends;
using Farspan.Migration;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <summary>
/// Carries out a connection's requests about a region that is being moved. Reads are answered on the connection's thread where the bytes are at
/// hand; whatever may take its time, or work, is done on others, so that signs of life are answered meanwhile.
/// </summary>
internal sealed class RegionRequests(ServedRegion region, WireRequests owner, Outbox outbox, Flight flight, CancellationToken cancelled)
{
    private const string Refusal = "the seeder refuses: the session, or the move, is over";

    private readonly ISeeder _seeder = region.Seeder;

    /// <summary>Begins a request that was checked; false once the connection is aborted.</summary>
    public bool TryServe(in WireFrame request, ReadOnlySpan<byte> payload)
    {
        if (!MoveRequest.TryRead(request, payload, out var ask))
        {
            owner.AddFailure(request, WireStatus.Invalid, "the payload names no move");
            return true;
        }

        var frame = request;
        switch (request.Operation)
        {
            case WireOperation.MigrateRead:
                return TryRead(request, ask);
            case WireOperation.MigrateDigest:
                return TryDigest(request, ask);
            case WireOperation.MigrateList:
                _ = Task.Run(() => ListAsync(frame, ask), CancellationToken.None);
                return true;
            default:
                _ = Task.Run(() => AskAsync(frame, ask), CancellationToken.None);
                return true;
        }
    }

    private bool TryRead(in WireFrame request, SeederRequest ask)
    {
        int length = (int)request.Length;
        if (Rent(length) is not { } buffer)
            return false;
        ValueTask<bool> task;
        try
        {
            task = _seeder.ReadAsync(ask, request.Offset, buffer.Array.AsMemory(WireFrame.Size, length), cancelled);
        }
        catch (Exception error)
        {
            task = ValueTask.FromException<bool>(error);
        }

        if (!task.IsCompletedSuccessfully || (request.Detail & PackedBytes.CompressFlag) != 0)
        {
            _ = FinishAsync(task, request, buffer);
            return true;
        }

        if (task.Result)
        {
            outbox.SendNow(WireRequests.Success(request), buffer, Pack(request, buffer));
            flight.End();
        }
        else
        {
            owner.AddFailure(request, WireStatus.Refused, Refusal);
        }

        buffer.Release();
        return true;
    }

    private bool TryDigest(WireFrame request, SeederRequest ask)
    {
        int length = (int)request.Length * SHA256.HashSizeInBytes;
        if (Rent(length) is not { } buffer)
            return false;
        _ = Task.Run(() => FinishAsync(DigestAsync(), request, buffer), CancellationToken.None);
        return true;

        async ValueTask<bool> DigestAsync()
            => await _seeder.DigestAsync(ask, request.Offset, buffer.Array.AsMemory(WireFrame.Size, length), cancelled);
    }

    /// <summary>Answers with what comes into the buffer, which it takes over. Never throws.</summary>
    private async Task FinishAsync(ValueTask<bool> task, WireFrame request, WireBuffer buffer)
    {
        try
        {
            bool isAtOnce = task.IsCompleted;
            bool isGranted = await task;
            if (isAtOnce && request.Operation == WireOperation.MigrateRead)
                await Task.Yield();
            if (isGranted)
            {
                int length = request.Operation == WireOperation.MigrateRead ? Pack(request, buffer) : (int)request.Length * SHA256.HashSizeInBytes;
                outbox.Enqueue(new Outgoing(WireRequests.Success(request) with { PayloadLength = length }, buffer, 0, null));
                return;
            }

            buffer.Release();
            Refuse(request);
        }
        catch (Exception error)
        {
            owner.Reply(request, error, buffer, 0);
        }
    }

    private async Task ListAsync(WireFrame request, SeederRequest ask)
    {
        try
        {
            int limit = (int)Math.Min(request.Length, region.MaximumRuns);
            if (await _seeder.ListAsync(ask, request.Offset, limit, cancelled) is { } page)
                outbox.Enqueue(new Outgoing(WireRequests.Success(request), null, 0, MovePage.ToBytes(page)));
            else
                Refuse(request);
        }
        catch (Exception error)
        {
            owner.Reply(request, error, buffer: null, 0);
        }
    }

    private async Task AskAsync(WireFrame request, SeederRequest ask)
    {
        try
        {
            var reply = await _seeder.AskAsync(ask, cancelled);
            var page = reply is { Answer: SeederAnswer.Round } or { Answer: SeederAnswer.Yours, IsExact: true } ? await FirstPageAsync(ask) : null;
            outbox.Enqueue(new Outgoing(WireRequests.Success(request), null, 0, MoveReply.ToBytes(reply, page)));
        }
        catch (Exception error)
        {
            owner.Reply(request, error, buffer: null, 0);
        }
    }

    // The page only saves a round trip: what fails of it is told to who asks for the page.
    private async ValueTask<ChangedPage?> FirstPageAsync(SeederRequest ask)
    {
        try
        {
            return await _seeder.ListAsync(ask, 0, region.MaximumRuns, cancelled);
        }
        catch (BackendException)
        {
            return null;
        }
    }

    private void Refuse(in WireFrame request)
    {
        var reply = WireRequests.Success(request) with { Detail = (ushort)WireStatus.Refused };
        outbox.Enqueue(new Outgoing(reply, null, 0, WireLimits.Encode(Refusal, WireLimits.MaximumMessage)));
    }

    private int Pack(in WireFrame request, WireBuffer buffer)
        => PackedBytes.Pack(buffer.Array.AsSpan(WireFrame.Size, (int)request.Length), request.Detail, region.ChunkSize);

    private WireBuffer? Rent(int length)
    {
        var buffer = owner.Rent(WireFrame.Size + length);
        if (buffer is null)
            flight.End();
        return buffer;
    }
}
