using System.Buffers;
using System.Net.Sockets;

namespace Farspan.Transports;

/// <summary>
/// Puts a simulated line into a duplex stream: what is written here travels up the line before the inner stream gets it, what the inner
/// stream brings travels down before it can be read. Both at the line's rate, each half a round trip long.
/// </summary>
/// <remarks>
/// <para>A write returns once its bytes are on the line. When the line and its queue are full it waits, as it would at a slow network. Flushing
/// does nothing: all is on its way already.</para>
/// <para>Several streams that share a <see cref="LinkModel"/> share its rate. One thread at a time may read, and one at a time write; both at
/// once. Synchronous calls block their thread while the pool's threads do the work.</para>
/// <para>Disposing lets what was written arrive, for as long as the line takes and a second more, and then disposes the inner stream.</para>
/// </remarks>
public sealed class SimulatedLinkStream : Stream
{
    private const int BufferSize = 128 << 10;
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);

    private readonly Stream _inner;
    private readonly LinkModel _link;
    private readonly LinkPipe _up;
    private readonly LinkPipe _down;
    private readonly CancellationTokenSource _stop = new();
    private readonly Action<Stream> _shutdownInner;
    private readonly Task _pumpUp;
    private readonly Task _pumpDown;
    private int _disposed;

    /// <summary>Wraps <paramref name="inner"/>, which this stream owns from now on.</summary>
    /// <param name="inner">The stream to the far side.</param>
    /// <param name="link">The line.</param>
    /// <param name="shutdownInner">Tells the far side that nothing more will come, see <see cref="ShutdownWrites"/>. Unless told: shuts down a
    /// <see cref="NetworkStream"/>'s socket and a simulated line, and does nothing for others.</param>
    public SimulatedLinkStream(Stream inner, LinkModel link, Action<Stream>? shutdownInner = null)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentNullException.ThrowIfNull(link);
        _inner = inner;
        _link = link;
        _shutdownInner = shutdownInner ?? ShutdownKnown;
        _up = new LinkPipe(link, link.Up);
        _down = new LinkPipe(link, link.Down);

        // The pumps stay on the task scheduler of the caller, but not on a user interface's or a test's context, which a blocked reader may hold.
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            _pumpUp = PumpUpAsync();
            _pumpDown = PumpDownAsync();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    /// <inheritdoc/>
    public override bool CanRead => _disposed == 0;

    /// <inheritdoc/>
    public override bool CanWrite => _disposed == 0;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Says that nothing more will be written: the far side sees the end once all that was written has arrived. Reading goes on.</summary>
    public void ShutdownWrites() => _up.Complete();

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        ThrowIfDisposed();
        if (buffer.IsEmpty)
            return 0;
        int count;
        while (!_down.TryRead(buffer, out count))
            Block(_down.WaitForDataAsync(CancellationToken.None));
        return count;
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        cancellationToken.ThrowIfCancellationRequested();
        return buffer.IsEmpty ? new(0) : ReadAsync(_down, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        ThrowIfDisposed();
        while (!buffer.IsEmpty)
        {
            buffer = buffer[_up.TryWrite(buffer)..];
            if (!buffer.IsEmpty)
                Block(_up.WaitForRoomAsync(CancellationToken.None));
        }
    }

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        cancellationToken.ThrowIfCancellationRequested();
        while (!buffer.IsEmpty)
        {
            buffer = buffer[_up.TryWrite(buffer.Span)..];
            if (!buffer.IsEmpty)
                await _up.WaitForRoomAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public override void Flush() => ThrowIfDisposed();

    /// <inheritdoc/>
    public override Task FlushAsync(CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return cancellationToken.IsCancellationRequested ? Task.FromCanceled(cancellationToken) : Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _down.Abort(new ObjectDisposedException(nameof(SimulatedLinkStream)));
        _up.Complete();
        await Task.WhenAny(_pumpUp, _link.WaitUntilAsync(TimeSpan.FromTicks(Math.Max(_link.Now.Ticks, _up.LastDue.Ticks)) + Linger).AsTask());
        _stop.Cancel();
        _up.Abort(new ObjectDisposedException(nameof(SimulatedLinkStream)));
        await _inner.DisposeAsync();

        // An inner stream that heeds neither its token nor its end, such as a console, keeps its pump: it does not keep the caller.
        var pumps = Task.WhenAll(_pumpUp, _pumpDown);
        if (await Task.WhenAny(pumps, _link.WaitUntilAsync(_link.Now + Linger).AsTask()) == pumps)
        {
            _up.Dispose();
            _down.Dispose();
            _stop.Dispose();
        }

        await base.DisposeAsync();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && _disposed == 0)
            Block(DisposeAsync());
        base.Dispose(disposing);
    }

    private static void Block(ValueTask wait)
    {
        if (wait.IsCompletedSuccessfully)
            wait.GetAwaiter().GetResult();
        else
            wait.AsTask().GetAwaiter().GetResult();
    }

    private static void ShutdownKnown(Stream inner)
    {
        switch (inner)
        {
            case NetworkStream network:
                network.Socket.Shutdown(SocketShutdown.Send);
                break;
            case SimulatedLinkStream line:
                line.ShutdownWrites();
                break;
        }
    }

    private static async ValueTask<int> ReadAsync(LinkPipe pipe, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int count;
        while (!pipe.TryRead(buffer.Span, out count))
            await pipe.WaitForDataAsync(cancellationToken);
        return count;
    }

    private async Task PumpUpAsync()
    {
        await Task.Yield();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (await ReadAsync(_up, buffer, _stop.Token) is var count and > 0)
            {
                await _inner.WriteAsync(buffer.AsMemory(0, count), _stop.Token);
                await _inner.FlushAsync(_stop.Token);
            }

            if (_disposed == 0)
                _shutdownInner(_inner);
        }
        catch (Exception failure)
        {
            // Whoever writes next is told; a failing stream must not end the process from a pump.
            _up.Abort(failure);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task PumpDownAsync()
    {
        await Task.Yield();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (await _inner.ReadAsync(buffer.AsMemory(0, BufferSize), _stop.Token) is var count and > 0)
            {
                for (int sent = 0; sent < count;)
                {
                    sent += _down.TryWrite(buffer.AsSpan(sent, count - sent));
                    if (sent < count)
                        await _down.WaitForRoomAsync(_stop.Token);
                }
            }

            _down.Complete();
        }
        catch (Exception failure)
        {
            _down.Complete(failure);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_disposed != 0, this);
}
