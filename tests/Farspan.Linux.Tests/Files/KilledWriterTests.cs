using System.Globalization;
using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Files;

/// <summary>A process that writes is killed at any moment; what it had flushed is there, and nothing else than what it wrote.</summary>
public sealed class KilledWriterTests : IDisposable
{
    private const int BlockLength = 10_000;
    private const int ChunkLength = 16 << 10;
    private readonly TemporaryDirectory _directory = new();
    private readonly BackendRegistry _registry = new BackendRegistry().AddCoreBackends().AddLinuxBackends();

    public void Dispose() => _directory.Dispose();

    [Theory(Timeout = 120_000)]
    [InlineData("directory", "&chunk=16KiB")]
    [InlineData("file", "")]
    public async Task Killed_KeepsWhatWasFlushed_AndHasNoHalfChunk(string scheme, string more)
    {
        string path = _directory[scheme];
        string uri = $"{scheme}:{path}?size=64MiB{more}";
        var random = new Random(1);
        long block = 0;
        for (int round = 0; round < 6; round++)
        {
            long flushed;
            await using (var writer = PeerProcess.Start(TestProgram.Path("Farspan.BackendWriter"), [uri, $"{block}"]))
            {
                long from = block;
                await writer.WaitUntilAsync(w => LastFlushed(w.Output) > from);
                await Task.Delay(random.Next(30));
                await writer.SignalAsync("KILL");
                await writer.WaitForExitAsync(TimeSpan.FromSeconds(30));
                flushed = LastFlushed(writer.Output);
            }

            if (scheme == "directory")
                AssertChunkFilesAreWhole(path);
            await using var backend = await _registry.OpenAsync(uri);
            for (long i = 0; i < flushed; i++)
                await AssertBlockAsync(backend, i, mayBeMissing: false);
            for (long i = flushed; i < flushed + 16; i++)
                await AssertBlockAsync(backend, i, mayBeMissing: true);
            block = flushed;
        }
    }

    private static long LastFlushed(string output)
    {
        // The last line may be half there: a number that lacks digits is a smaller one, and thus true as well.
        string? line = output.Split('\n').LastOrDefault(l => l.StartsWith("flushed ", StringComparison.Ordinal) && char.IsAsciiDigit(l[^1]));
        return line is null ? 0 : long.Parse(line.AsSpan("flushed ".Length), CultureInfo.InvariantCulture);
    }

    private static void AssertChunkFilesAreWhole(string path)
    {
        foreach (string file in Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories))
        {
            string name = Path.GetFileName(file);
            if (!name.StartsWith("farspan-", StringComparison.Ordinal) && !name.EndsWith(".new", StringComparison.Ordinal))
                Assert.Equal(ChunkLength, new FileInfo(file).Length);
        }
    }

    private static async Task AssertBlockAsync(IBackend backend, long block, bool mayBeMissing)
    {
        byte[] buffer = new byte[BlockLength];
        await backend.ReadAsync(block * BlockLength, buffer);
        byte[] data = BackendModel.Bytes((int)block, BlockLength);
        for (int i = 0; i < BlockLength; i++)
            Assert.True(buffer[i] == data[i] || (mayBeMissing && buffer[i] == 0), $"Byte {i} of block {block} is {buffer[i]:X2}, not {data[i]:X2}.");
    }
}
