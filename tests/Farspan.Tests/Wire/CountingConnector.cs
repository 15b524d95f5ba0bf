using System.Net.Sockets;
using Farspan.Transports;

namespace Farspan.Tests.Wire;

/// <summary>Connects to a Unix socket, and counts what comes.</summary>
internal sealed class CountingConnector(StreamEndpoint endpoint)
{
    private long _received;

    public long Received => Volatile.Read(ref _received);

    public Stream Connect() => new CountedStream(this, new NetworkStream(BreakableConnector.Open(endpoint), ownsSocket: true));

    private sealed class CountedStream(CountingConnector owner, NetworkStream line) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(Span<byte> buffer)
        {
            int count = line.Read(buffer);
            Interlocked.Add(ref owner._received, count);
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer) => line.Write(buffer);

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() => line.Flush();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            line.Dispose();
            base.Dispose(disposing);
        }
    }
}
