// Stacks a stage of one's own with those of Farspan: counts what a program asks for, and what reaches the store below access by whole chunks.
using CustomStage;
using Farspan.Backends;
using Farspan.Stages;

var registry = new BackendRegistry().AddCoreBackends();
string uri = args.Length > 0 ? args[0] : "memory:1MiB";

// From the bottom up; the topmost disposes those below it.
var below = new CountingStage(await registry.OpenAsync(uri));
var chunked = new ArbitraryAccessStage(below, new ArbitraryAccessOptions { ChunkSize = 64 << 10 });
await using var above = new CountingStage(chunked);

await above.WriteAsync(100_000, "Span<byte> for bytes that are far away"u8.ToArray());
byte[] back = new byte[10];
await above.ReadAsync(100_000, back);
await above.FlushAsync();

Console.WriteLine($"read back: {System.Text.Encoding.UTF8.GetString(back)}");
Console.WriteLine($"asked for: {above.BytesRead} bytes read, {above.BytesWritten} written");
Console.WriteLine($"the store: {below.BytesRead} bytes read, {below.BytesWritten} written");
