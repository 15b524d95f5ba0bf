using System.Text.Json;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Commands;

public sealed class JsonTests
{
    [Fact(Timeout = 120_000)]
    public async Task Doctor_SaysForEachThingWhetherItWorksAndHowToGetIt()
    {
        var run = await CommandLine.RunAsync("doctor", "--json");
        using var report = JsonDocument.Parse(run.Output);
        Assert.Equal(run.ExitCode == ExitCodes.Done, report.RootElement.GetProperty("ok").GetBoolean());
        var findings = report.RootElement.GetProperty("findings").EnumerateArray().ToList();
        Assert.Contains(findings, finding => finding.GetProperty("name").GetString() == "/dev/fuse");
        foreach (var finding in findings)
        {
            string state = finding.GetProperty("state").GetString()!;
            Assert.Contains(state, (string[])["ok", "missing", "broken"]);
            Assert.Equal(state != "ok", finding.TryGetProperty("remedy", out _));
            Assert.NotEmpty(finding.GetProperty("detail").GetString()!);
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task InfoWithMap_ListsExtentsThatCoverTheFile()
    {
        using var directory = new TemporaryDirectory();
        await using (var file = File.Create(directory["f"]))
        {
            file.SetLength(4 << 20);
            file.Position = 1 << 20;
            file.Write(new byte[4096].Select(_ => (byte)1).ToArray());
        }

        var run = await CommandLine.RunAsync("info", $"file:{directory["f"]}", "--map", "--json");
        using var report = JsonDocument.Parse(run.Output);
        Assert.Equal(4 << 20, report.RootElement.GetProperty("length").GetInt64());
        long at = 0;
        foreach (var extent in report.RootElement.GetProperty("map").EnumerateArray())
        {
            Assert.Equal(at, extent.GetProperty("offset").GetInt64());
            at += extent.GetProperty("length").GetInt64();
        }

        Assert.Equal(4 << 20, at);
        Assert.Equal(4 << 20, report.RootElement.GetProperty("dataBytes").GetInt64() + report.RootElement.GetProperty("zeroBytes").GetInt64());
    }

    [Fact(Timeout = 120_000)]
    public async Task Copy_MakesAFileOfTheSourcesLengthAndReports()
    {
        using var directory = new TemporaryDirectory();
        byte[] bytes = new byte[3_000_001];
        new Random(1).NextBytes(bytes);
        await File.WriteAllBytesAsync(directory["a"], bytes);
        var run = await CommandLine.RunAsync("copy", directory["a"], $"file:{directory["b"]}", "--verify", "--json");
        Assert.True(run.ExitCode == ExitCodes.Done, run.Error);
        using var report = JsonDocument.Parse(run.Output);
        Assert.Equal(bytes.Length, report.RootElement.GetProperty("bytesWritten").GetInt64());
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["b"]));
    }
}
