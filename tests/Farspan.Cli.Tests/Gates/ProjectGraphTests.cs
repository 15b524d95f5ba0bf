using System.Xml.Linq;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Gates;

/// <summary>Dependencies point down only.</summary>
public sealed class ProjectGraphTests
{
    // What a project may refer to, directly; a new project needs a line here.
    private static readonly Dictionary<string, string[]> Allowed = new(StringComparer.Ordinal)
    {
        ["Farspan"] = [],
        ["Farspan.Linux"] = ["Farspan"],
        ["Farspan.Nbd"] = ["Farspan"],
        ["Farspan.Cli"] = ["Farspan", "Farspan.Linux", "Farspan.Nbd"],
    };

    [Fact(Timeout = 120_000)]
    public Task SourceProjects_ReferToLowerOnesOnly()
    {
        var wrong = new List<string>();
        foreach (string project in Projects("src"))
        {
            string name = Path.GetFileNameWithoutExtension(project);
            string[]? allowed = Allowed.GetValueOrDefault(name);
            if (allowed is null)
                wrong.Add($"{name} is not in the table of this test.");
            wrong.AddRange(References(project).Except(allowed ?? []).Select(reference => $"{name} must not refer to {reference}."));
        }

        Assert.Empty(wrong);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task NoSourceProject_RefersToTests()
    {
        var testProjects = Projects("tests").Select(Path.GetFileNameWithoutExtension).ToHashSet(StringComparer.Ordinal);
        Assert.DoesNotContain(Projects("src").SelectMany(References), testProjects.Contains);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task EveryProject_IsInTheSolutionAndShort()
    {
        var solution = XDocument.Load(RepositoryRoot.Combine("Farspan.slnx")).Descendants("Project").Select(project => project.Attribute("Path")!.Value).ToHashSet(StringComparer.Ordinal);
        foreach (string project in Projects("src").Concat(Projects("tests")).Concat(Projects("samples")))
        {
            Assert.Contains(Path.GetRelativePath(RepositoryRoot.Path, project), solution);
            Assert.True(File.ReadLines(project).Count() <= 30, $"{project} is longer than 30 lines; settings live in Directory.Build.props.");
        }

        return Task.CompletedTask;
    }

    private static string[] Projects(string folder)
        => Directory.GetFiles(RepositoryRoot.Combine(folder), "*.csproj", SearchOption.AllDirectories);

    private static IEnumerable<string> References(string project)
        => XDocument.Load(project).Descendants("ProjectReference").Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value));
}
