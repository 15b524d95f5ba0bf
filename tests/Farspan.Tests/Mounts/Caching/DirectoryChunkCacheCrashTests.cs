using Xunit;

namespace Farspan.Tests.Mounts.Caching;

/// <summary>A cache that crashes at any step, with the power or without, and is opened again, against a model.</summary>
public sealed class DirectoryChunkCacheCrashTests
{
    private static readonly int SeedCount = Environment.GetEnvironmentVariable("FARSPAN_LONG") == "1" ? 200_000 : 1000;

    [Fact(Timeout = 3_600_000)]
    public Task Crashes_LoseNothingFlushedAndInventNothing()
    {
        var failures = new List<string>();
        for (int seed = 0; seed < SeedCount && failures.Count < 5; seed++)
        {
            try
            {
                CacheWorld.Run(seed);
            }
            catch (Exception failure)
            {
                failures.Add($"seed {seed}: {failure.Message} {failure.StackTrace}");
            }
        }

        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
        return Task.CompletedTask;
    }

}
