using Farspan.Backends;
using Farspan.Cli.Copying;
using Farspan.Stages;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Copying;

public sealed class CopyJobTests : IDisposable
{
    private const int Length = 300_001;
    private readonly TemporaryDirectory _directory = new();
    private readonly byte[] _data = Data();

    public CopyJobTests() => File.WriteAllBytes(_directory["source"], _data);

    public void Dispose() => _directory.Dispose();

    [Theory(Timeout = 120_000)]
    [InlineData("file")]
    [InlineData("directory")]
    public async Task AbsentDestination_IsMadeAsLongAsTheSource(string scheme)
    {
        await CopyAsync("source", $"{scheme}:{_directory["new"]}", verify: true);
        await using var made = await Registry.Create().OpenAsync($"{scheme}:{_directory["new"]}");
        Assert.Equal(Length, made.Length);
    }

    [Fact(Timeout = 120_000)]
    public async Task EmptyDirectory_IsSetUp()
    {
        Directory.CreateDirectory(_directory["empty"]);
        await CopyAsync("source", $"directory:{_directory["empty"]}", verify: true);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("file")]
    [InlineData("directory")]
    public async Task DestinationThatComesIntoBeingMeanwhile_IsNotTakenForZeroes(string scheme)
    {
        // It appears, full of other bytes, between the first look and the opening that may create it.
        string uri = $"{scheme}:{_directory["late"]}";
        var real = Registry.Create();
        int opened = 0;
        var registry = Registry.Create().Register(scheme, async (target, options, token) =>
        {
            if (target.Path != _directory["late"] || Interlocked.Increment(ref opened) != 1)
                return await real.OpenAsync(target.Text, options, token);
            await using (var other = await real.OpenAsync($"{uri}?size={Length}", options, token))
                await other.WriteAsync(0, Enumerable.Repeat((byte)7, Length).ToArray(), token);
            throw new BackendException(BackendError.NotFound, "It was not there a moment ago.");
        });
        await CopyAsync("source", uri, verify: true, registry);
        Assert.Equal(2, opened);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("file:{0}?size=100000")]
    [InlineData("directory:{0}?size=100000")]
    public async Task DestinationToBeMadeTooSmall_IsRefusedAndNotMade(string pattern)
    {
        string uri = string.Format(System.Globalization.CultureInfo.InvariantCulture, pattern, _directory["small"]);
        var refusal = await Assert.ThrowsAsync<CommandException>(() => CopyAsync("source", uri));
        Assert.Contains("100000", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("300001", refusal.Message, StringComparison.Ordinal);
        Assert.False(Path.Exists(_directory["small"]));
    }

    [Fact(Timeout = 120_000)]
    public async Task SmallerDestination_IsRefusedAndKeepsItsBytes()
    {
        File.WriteAllBytes(_directory["small"], [1, 2, 3]);
        await Assert.ThrowsAsync<CommandException>(() => CopyAsync("source", _directory["small"]));
        Assert.Equal([1, 2, 3], File.ReadAllBytes(_directory["small"]));
    }

    [Theory(Timeout = 120_000)]
    [InlineData("source")]
    [InlineData("link")]
    [InlineData("./inner/../source")]
    public async Task SourceItself_IsRefusedAndKeepsItsBytes(string destination)
    {
        File.CreateSymbolicLink(_directory["link"], _directory["source"]);
        Directory.CreateDirectory(_directory["inner"]);
        var refusal = await Assert.ThrowsAsync<CommandException>(() => CopyAsync("source", $"file:{_directory[destination]}?lock=off"));
        Assert.Contains("are the same", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(_data, File.ReadAllBytes(_directory["source"]));
    }

    [Fact(Timeout = 120_000)]
    public async Task AbsentSource_MakesNoDestination()
    {
        await Assert.ThrowsAsync<BackendException>(() => CopyAsync("absent", _directory["new"]));
        Assert.False(Path.Exists(_directory["new"]));
    }

    [Fact(Timeout = 120_000)]
    public async Task DestinationOfWholeBlocks_TakesASourceOfAnyLength()
    {
        await using var kept = new MemoryBackend(512 << 10);
        await kept.WriteAsync(0, Enumerable.Repeat((byte)7, 512 << 10).ToArray());
        var registry = Registry.Create().Register(
            "blocks", (_, _, _) => new(new AlignmentGuardStage(new ReadThrough(kept), new BlockSizes(4096, 4096, 64 << 10))));
        await CopyAsync("source", "blocks:any", verify: true, registry);
        byte[] after = new byte[1000];
        await kept.ReadAsync(Length, after);
        Assert.All(after, value => Assert.Equal(7, value));
    }

    [Fact(Timeout = 120_000)]
    public async Task FailedHalfWay_SaysHowFar_AndResumeWritesOnlyTheRest()
    {
        string uri = $"file:{_directory["copy"]}";
        var real = Registry.Create();
        var registry = Registry.Create().Register("failing", async (_, options, token) =>
        {
            var faults = new FaultInjectionStage(await real.OpenAsync($"{uri}?size={Length}", options, token));
            faults.Inject(new FaultRule { Operations = BackendOperation.Write, Skip = 30, Error = BackendError.NoSpace });
            return faults;
        });
        var failure = await Assert.ThrowsAsync<CommandException>(() => CopyAsync("source", "failing:any", registry: registry));
        Assert.Contains("--resume", failure.Message, StringComparison.Ordinal);
        Assert.Contains($"of {Length} bytes", failure.Message, StringComparison.Ordinal);
        var report = await CopyAsync("source", uri, verify: true, resume: true);
        Assert.InRange(report.BytesWritten, 1, Length - (30 * 4096));
    }

    private static byte[] Data()
    {
        byte[] data = new byte[Length];
        new Random(3).NextBytes(data);
        data.AsSpan(100_000, 70_000).Clear();
        return data;
    }

    private async Task<CopyReport> CopyAsync(
        string source, string destination, bool verify = false, BackendRegistry? registry = null, bool resume = false)
    {
        var job = new CopyJob
        {
            Source = $"file:{_directory[source]}",
            Destination = destination,
            Verify = verify,
            Options = new CopyOptions { RequestSize = 4096, RequestsInFlight = 3, OnlyChanges = resume },
        };
        return await job.RunAsync(registry ?? Registry.Create(), CancellationToken.None);
    }

    /// <summary>Leaves the backend below open for the test to look at.</summary>
    private sealed class ReadThrough(IBackend inner) : Stage(inner)
    {
#pragma warning disable CA2215 // To outlive the stage that disposes it is what it is for.
        public override ValueTask DisposeAsync() => default;
#pragma warning restore CA2215
    }
}
