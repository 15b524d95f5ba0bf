// Serves memory of this program by NBD, to any NBD client, until Ctrl-C; then says what a client left there.
using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Server;
using Farspan.Transports;

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, press) =>
{
    press.Cancel = true;
    stop.Cancel();
};

await using var memory = new MemoryBackend(64 << 20);
await memory.WriteAsync(0, "hello from far away\n"u8.ToArray());

// Port 0 lets the system choose one.
using var listener = StreamListener.Bind(StreamEndpoint.Tcp("127.0.0.1", 0));
await using (var server = new NbdServer([new NbdExport { Name = "memory", Backend = memory }]))
{
    Console.WriteLine($"serving nbd://{listener.Endpoint}/memory until Ctrl-C");
    await server.ServeAsync(listener, stop.Token);
}

// The server is stopped, and what its clients wrote is ours.
byte[] line = new byte[80];
await memory.ReadAsync(4096, line);
string text = Encoding.UTF8.GetString(line).TrimEnd('\0');
Console.WriteLine(text.Length == 0 ? "nobody wrote at 4096" : $"written at 4096: {text}");
