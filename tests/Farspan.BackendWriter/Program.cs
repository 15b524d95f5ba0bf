using Farspan.Backends;
using Farspan.Linux;
using Farspan.TestKit.Contracts;

// usage: Farspan.BackendWriter URI FIRST. Writes blocks of 10,000 bytes one after another from block FIRST on, each with the bytes of its
// number, four at a time, flushes after every eight, and says "flushed N" when all before block N are durable. It goes on until it is killed.
const int BlockLength = 10_000;
await using var backend = await new BackendRegistry().AddCoreBackends().AddLinuxBackends().OpenAsync(args[0]);
for (long block = long.Parse(args[1]); (block + 8) * BlockLength <= backend.Length; block += 8)
{
    for (long half = block; half < block + 8; half += 4)
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(
            i => backend.WriteAsync((half + i) * BlockLength, BackendModel.Bytes((int)half + i, BlockLength)).AsTask()));
    }

    await backend.FlushAsync();
    Console.WriteLine($"flushed {block + 8}");
}
