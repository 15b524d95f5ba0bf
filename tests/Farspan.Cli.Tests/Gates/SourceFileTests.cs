using System.Text.RegularExpressions;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Gates;

/// <summary>What every source file keeps to.</summary>
public sealed partial class SourceFileTests
{
    private const int LongestFile = 350;

    private static readonly string[] VagueFolders = ["Utils", "Util", "Helpers", "Common", "Impl", "Misc"];

    [Fact(Timeout = 120_000)]
    public Task SourceFiles_AreShort()
    {
        var tooLong = Files("src").Where(file => File.ReadLines(file).Count() > LongestFile).Select(Relative);
        Assert.Empty(tooLong);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Namespaces_FollowFolders()
    {
        var wrong = new List<string>();
        foreach (string file in Files("src"))
        {
            string expected = Path.GetDirectoryName(Path.GetRelativePath(RepositoryRoot.Combine("src"), file))!.Replace('/', '.');
            foreach (string line in File.ReadLines(file))
            {
                if (Namespace().Match(line) is { Success: true } match && match.Groups["name"].Value != expected)
                    wrong.Add($"{Relative(file)}: namespace {match.Groups["name"].Value}, expected {expected}");
            }
        }

        Assert.Empty(wrong);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Folders_NameAConcept()
    {
        Assert.DoesNotContain(
            Directory.GetDirectories(RepositoryRoot.Combine("src"), "*", SearchOption.AllDirectories),
            folder => VagueFolders.Contains(Path.GetFileName(folder), StringComparer.OrdinalIgnoreCase));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task NativeCalls_AreInInteropOnly()
    {
        var elsewhere = Files("src").Where(file => !file.Contains("/Interop/", StringComparison.Ordinal))
            .Where(file => File.ReadAllText(file) is var text && (text.Contains("[LibraryImport(", StringComparison.Ordinal) || text.Contains("[DllImport(", StringComparison.Ordinal)))
            .Select(Relative);
        Assert.Empty(elsewhere);
        return Task.CompletedTask;
    }

    private static string[] Files(string folder) => Directory.GetFiles(RepositoryRoot.Combine(folder), "*.cs", SearchOption.AllDirectories);

    private static string Relative(string file) => Path.GetRelativePath(RepositoryRoot.Path, file);

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Namespace();
}
