using System.Reflection;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Gates;

/// <summary>The public API changes only on purpose.</summary>
public sealed class PublicApiTests
{
    [Theory(Timeout = 120_000)]
    [InlineData("Farspan")]
    [InlineData("Farspan.Linux")]
    [InlineData("Farspan.Nbd")]
    public async Task PublicApi_IsTheOneOnFile(string project)
    {
        string file = RepositoryRoot.Combine("tests", "Farspan.Cli.Tests", "Gates", "PublicApi", $"{project}.txt");
        string now = PublicApiText.Of(Assembly.Load(project));
        if (Environment.GetEnvironmentVariable("FARSPAN_UPDATE_SNAPSHOTS") == "1")
            await File.WriteAllTextAsync(file, now);
        string onFile = File.Exists(file) ? await File.ReadAllTextAsync(file) : "";
        string[] was = onFile.Split('\n');
        string[] isNow = now.Split('\n');
        string added = string.Join('\n', isNow.Except(was).Select(line => $"+ {line}"));
        string removed = string.Join('\n', was.Except(isNow).Select(line => $"- {line}"));
        Assert.True(
            onFile == now,
            $"The public API of {project} is not the one in {file}.\n{removed}\n{added}\n"
            + "If that is meant: FARSPAN_UPDATE_SNAPSHOTS=1 ./test --project Cli --filter FullyQualifiedName~PublicApi, and commit the file.");
    }
}
