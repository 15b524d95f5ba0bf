using System.Net;
using System.Net.Sockets;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>A line to a server, that can be cut, slowed, held and restored.</summary>
internal sealed class CuttableLine : IAsyncDisposable
{
    private readonly EndPoint _server;
    private readonly Socket _listener;
    private readonly CancellationTokenSource _ended = new();
    private readonly Task _accepting;
    private CancellationTokenSource _cut = new();
    private TaskCompletionSource _held = Free();

    /// <summary>A line between Unix sockets.</summary>
    public CuttableLine(string path, string server)
        : this(new UnixDomainSocketEndPoint(path), new UnixDomainSocketEndPoint(server))
    {
    }

    public CuttableLine(EndPoint here, EndPoint server)
    {
        _server = server;
        _listener = SocketFor(here);
        _listener.Bind(here);
        _listener.Listen();
        _accepting = AcceptAsync();
    }

    /// <summary>Where it takes connections.</summary>
    public EndPoint Here => _listener.LocalEndPoint!;

    /// <summary>The time that each piece of bytes is held up.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Connections that were made.</summary>
    public int Connections { get; private set; }

    /// <summary>Breaks every connection, in the middle of whatever it carries, and takes none until <see cref="Restore"/>.</summary>
    public void Cut() => Volatile.Read(ref _cut).Cancel();

    public void Restore() => Volatile.Write(ref _cut, new CancellationTokenSource());

    /// <summary>Carries nothing more, with every connection open, until <see cref="Release"/>.</summary>
    public void Hold()
    {
        if (Volatile.Read(ref _held).Task.IsCompleted)
            Volatile.Write(ref _held, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
    }

    public void Release() => Volatile.Read(ref _held).TrySetResult();

    public async ValueTask DisposeAsync()
    {
        Cut();
        await _ended.CancelAsync();
        await _accepting;
        _listener.Dispose();
        _ended.Dispose();
    }

    private async Task AcceptAsync()
    {
        var carrying = new List<Task>();
        try
        {
            while (true)
                carrying.Add(CarryAsync(await _listener.AcceptAsync(_ended.Token), Volatile.Read(ref _cut).Token));
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(carrying);
        }
    }

    private static TaskCompletionSource Free()
    {
        var free = new TaskCompletionSource();
        free.SetResult();
        return free;
    }

    private static Socket SocketFor(EndPoint end)
        => end is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    private async Task CarryAsync(Socket client, CancellationToken cut)
    {
        var server = SocketFor(_server);
        using (client)
        using (server)
        {
            if (cut.IsCancellationRequested)
                return;
            Connections++;
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cut);
            try
            {
                await server.ConnectAsync(_server, over.Token);
                var copies = new[] { CopyAsync(client, server, over.Token), CopyAsync(server, client, over.Token) };
                await Task.WhenAny(copies);
                await over.CancelAsync();
                await Task.WhenAll(copies);
            }
            catch (Exception broken) when (broken is SocketException or OperationCanceledException)
            {
                // Whoever used the line finds out.
            }
        }
    }

    private async Task CopyAsync(Socket from, Socket to, CancellationToken over)
    {
        byte[] buffer = new byte[16 << 10];
        while (await from.ReceiveAsync(buffer, over) is > 0 and int count)
        {
            if (Delay > TimeSpan.Zero)
                await Task.Delay(Delay, over);
            await Volatile.Read(ref _held).Task.WaitAsync(over);
            for (int sent = 0; sent < count;)
                sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), over);
        }
    }
}
