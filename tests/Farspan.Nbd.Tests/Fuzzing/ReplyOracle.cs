using System.Buffers.Binary;
using Farspan.Nbd.Tests.Server;
using Xunit;

namespace Farspan.Nbd.Tests.Fuzzing;

/// <summary>
/// Goes through the bytes of a conversation on its own, field by field as the protocol document has them: each request that came whole has
/// exactly one reply, each reply has a request, and the lengths add up.
/// </summary>
internal static class ReplyOracle
{
    /// <summary>Longest payload that the server drains (four times the maximum request of the session).</summary>
    private const ulong LongestPayload = 4 << 20;

    public static void Check(ReadOnlySpan<byte> replies, ReadOnlySpan<byte> requests, HeaderForm form)
    {
        var expected = new Dictionary<ulong, Queue<(ushort Command, ulong Length)>>();
        int count = 0;
        foreach (var (cookie, command, length) in Parse(requests, form))
        {
            if (!expected.TryGetValue(cookie, out var queue))
                expected[cookie] = queue = new Queue<(ushort, ulong)>();
            queue.Enqueue((command, length));
            count++;
        }

        int done = 0;
        while (replies.Length > 0)
        {
            uint magic = BinaryPrimitives.ReadUInt32BigEndian(replies);
            ulong cookie = BinaryPrimitives.ReadUInt64BigEndian(replies[8..]);
            Assert.True(expected.TryGetValue(cookie, out var queue) && queue.Count > 0, $"reply to nothing: {cookie:x}");
            bool last = true;
            if (magic == 0x67446698)
            {
                Assert.NotEqual(HeaderForm.Extended, form);
                uint error = BinaryPrimitives.ReadUInt32BigEndian(replies[4..]);
                var (command, length) = queue.Peek();
                Assert.True(form == HeaderForm.Simple || command != 0, "a structured read got a simple reply");
                replies = replies[(16 + (command == 0 && error == 0 ? (int)length : 0))..];
            }
            else
            {
                Assert.Equal(form == HeaderForm.Extended ? 0x6e8a278cu : 0x668e33efu, magic);
                last = (BinaryPrimitives.ReadUInt16BigEndian(replies[4..]) & 1) != 0;
                ulong length = form == HeaderForm.Extended ? BinaryPrimitives.ReadUInt64BigEndian(replies[24..]) : BinaryPrimitives.ReadUInt32BigEndian(replies[16..]);
                int head = form == HeaderForm.Extended ? 32 : 20;
                Assert.True(length <= (ulong)(replies.Length - head), "a chunk is longer than what came");
                replies = replies[(head + (int)length)..];
            }

            if (last)
            {
                queue.Dequeue();
                done++;
            }
        }

        Assert.Equal(count, done);
    }

    private static List<(ulong Cookie, ushort Command, ulong Length)> Parse(ReadOnlySpan<byte> requests, HeaderForm form)
    {
        bool extended = form == HeaderForm.Extended;
        int head = extended ? 32 : 28;
        var found = new List<(ulong, ushort, ulong)>();
        while (requests.Length >= head && BinaryPrimitives.ReadUInt32BigEndian(requests) == (extended ? 0x21e41c71u : 0x25609513u))
        {
            ushort flags = BinaryPrimitives.ReadUInt16BigEndian(requests[4..]);
            ushort command = BinaryPrimitives.ReadUInt16BigEndian(requests[6..]);
            ulong cookie = BinaryPrimitives.ReadUInt64BigEndian(requests[8..]);
            ulong length = extended ? BinaryPrimitives.ReadUInt64BigEndian(requests[24..]) : BinaryPrimitives.ReadUInt32BigEndian(requests[24..]);
            if (command == 2)
                break;
            bool carries = extended ? (flags & 0x20) != 0 : command == 1;
            ulong payload = carries ? length : 0;
            if (payload > LongestPayload || payload > (ulong)(requests.Length - head))
            {
                // Cut off in its payload, or too long to be taken: the connection ends without a reply to it.
                break;
            }

            found.Add((cookie, command, length));
            requests = requests[(head + (int)payload)..];
        }

        return found;
    }
}
