using System.Collections.Concurrent;
using Farspan.Backends;

namespace Farspan.TestKit.Contracts;

/// <summary>
/// A plain array that says what a backend must hold. Steps whose ranges do not meet may run at once. Holds the last steps for the message of
/// a failure.
/// </summary>
public sealed class BackendModel
{
    private const int HistoryLength = 24;
    private readonly byte[] _expected;
    private readonly bool[] _trimmed;
    private readonly ConcurrentQueue<string> _history = new();

    public BackendModel(int length)
    {
        _expected = new byte[length];
        _trimmed = new bool[length];
    }

    public int Length => _expected.Length;

    /// <summary>Bytes from a seed; no zero byte among them, so that a lost write cannot look like a hole.</summary>
    public static byte[] Bytes(int seed, int length)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] |= 1;
        return bytes;
    }

    /// <summary>Does one step on the backend, checks what can be seen, and keeps what it changed.</summary>
    public async ValueTask ApplyAsync(IBackend backend, ModelOperation operation, CancellationToken cancellationToken = default)
    {
        Remember(operation.ToString());
        var (kind, offset, length, seed) = operation;
        var zero = backend.GetCapability<IZero>();
        switch (kind)
        {
            case ModelOperationKind.Write:
                byte[] data = Bytes(seed, length);
                await WriteAsync(backend, offset, data, inPlace: (seed & 1) == 1, cancellationToken);
                data.CopyTo(_expected, offset);
                Array.Clear(_trimmed, (int)offset, length);
                break;
            case ModelOperationKind.Flush:
                await backend.FlushAsync(cancellationToken);
                break;
            case ModelOperationKind.Trim when backend.GetCapability<ITrim>() is { } trim:
                await trim.TrimAsync(offset, length, cancellationToken);
                Array.Fill(_trimmed, value: true, (int)offset, length);
                break;
            case ModelOperationKind.Zero when zero is not null:
                await zero.ZeroAsync(offset, length, ZeroMode.None, cancellationToken);
                SetZero(offset, length);
                break;
            case ModelOperationKind.ZeroKeepAllocated when zero is not null:
                await zero.ZeroAsync(offset, length, ZeroMode.KeepAllocated, cancellationToken);
                SetZero(offset, length);
                break;
            case ModelOperationKind.ZeroFastOnly when zero is not null:
                await ZeroFastAsync(zero, offset, length, cancellationToken);
                break;
            case ModelOperationKind.ListExtents when backend.GetCapability<IExtentSource>() is { } extents && length > 0:
                await ListAsync(backend, extents, offset, length, 1 + (seed & 7), cancellationToken);
                break;
            case ModelOperationKind.Lend when backend.GetCapability<IMemoryLender>() is { } lender:
                Lend(lender, offset, length);
                break;
            default:
                await CheckAsync(backend, offset, length, cancellationToken);
                break;
        }
    }

    /// <summary>Reads a range and compares it.</summary>
    public async ValueTask CheckAsync(IBackend backend, long offset, int length, CancellationToken cancellationToken = default)
    {
        var buffer = new byte[length];
        Array.Fill(buffer, (byte)0xCC);
        await backend.ReadAsync(offset, buffer, cancellationToken);
        Compare(offset, buffer, "read");
    }

    /// <summary>Compares the whole backend, in pieces.</summary>
    public async ValueTask CheckAllAsync(IBackend backend, int pieceLength = 1 << 16, CancellationToken cancellationToken = default)
    {
        for (int offset = 0; offset < Length; offset += pieceLength)
            await CheckAsync(backend, offset, Math.Min(pieceLength, Length - offset), cancellationToken);
    }

    /// <summary>Writes; in place where that is asked for and the backend can, for as far as it can.</summary>
    private static async ValueTask WriteAsync(IBackend backend, long offset, byte[] data, bool inPlace, CancellationToken cancellationToken)
    {
        int done = 0;
        var writer = inPlace ? backend.GetCapability<IInPlaceWriter>() : null;
        while (writer is not null && done < data.Length && writer.TryOpen(offset + done, data.Length - done, out var open))
        {
            using (open)
                data.AsMemory(done, open.Memory.Length).CopyTo(open.Memory);
            done += open.Memory.Length;
        }

        if (done < data.Length)
            await backend.WriteAsync(offset + done, data.AsMemory(done), cancellationToken);
    }

    private async ValueTask ZeroFastAsync(IZero zero, long offset, int length, CancellationToken cancellationToken)
    {
        try
        {
            await zero.ZeroAsync(offset, length, ZeroMode.FastOnly, cancellationToken);
        }
        catch (BackendException refusal) when (refusal.Error == BackendError.NotSupported)
        {
            return;
        }

        SetZero(offset, length);
    }

    private async ValueTask ListAsync(IBackend backend, IExtentSource source, long offset, int length, int limit, CancellationToken cancellationToken)
    {
        var buffer = new byte[length];
        var extents = await ExtentList.AllAsync(source, offset, length, limit, cancellationToken);
        await backend.ReadAsync(offset, buffer, cancellationToken);
        foreach (var extent in extents)
        {
            if (extent.Kind.HasFlag(ExtentKind.Zero) && buffer.AsSpan((int)(extent.Offset - offset), (int)extent.Length).ContainsAnyExcept((byte)0))
                throw Fail($"{extent} is told to read as zero and does not");
        }

        Compare(offset, buffer, "read after listing extents");
    }

    private void Lend(IMemoryLender lender, long offset, int length)
    {
        if (!lender.TryLend(offset, length, out var lent))
            return;
        using (lent)
        {
            if (lent.Memory.Length < 1 || lent.Memory.Length > length)
                throw Fail($"{lent.Memory.Length} bytes were lent when {length} were asked for");
            Compare(offset, lent.Memory.Span, "loan");
        }
    }

    private void SetZero(long offset, int length)
    {
        Array.Clear(_expected, (int)offset, length);
        Array.Clear(_trimmed, (int)offset, length);
    }

    private void Compare(long offset, ReadOnlySpan<byte> actual, string what)
    {
        var expected = _expected.AsSpan((int)offset, actual.Length);
        int from = 0;
        while (from < actual.Length)
        {
            int same = actual[from..].CommonPrefixLength(expected[from..]);
            from += same;
            if (from == actual.Length)
                return;
            if (!_trimmed[offset + from] || actual[from] != 0)
                throw Fail($"{what} at {offset}+{actual.Length}: byte {offset + from} is {actual[from]:X2}, not {expected[from]:X2}");
            from++;
        }
    }

    private void Remember(string step)
    {
        _history.Enqueue(step);
        while (_history.Count > HistoryLength)
            _history.TryDequeue(out _);
    }

    private InvalidOperationException Fail(string message)
        => new($"{message}. The last steps, oldest first:\n{string.Join('\n', _history)}");
}
