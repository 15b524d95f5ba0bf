using System.Reflection;

namespace Farspan.Figures;

/// <summary>Regions at one source, and one line that all of them move over.</summary>
internal sealed class SharedLine : IAsyncDisposable
{
    private readonly Contender _relay;

    private SharedLine(Contender relay, IReadOnlyList<MovingRegion> regions)
    {
        _relay = relay;
        Regions = regions;
    }

    public IReadOnlyList<MovingRegion> Regions { get; }

    /// <param name="options">Where things lie.</param>
    /// <param name="line">The line, as <c>relay</c> reads it.</param>
    /// <param name="regions">How long each region is, and who writes to it.</param>
    public static async Task<SharedLine> OpenAsync(FigureOptions options, string line, IEnumerable<(int Length, MovingProgram Program)> regions)
    {
        string scratch = Directory.CreateDirectory(Path.Combine(options.Scratch, $"many-{Guid.NewGuid():N}"[..12])).FullName;
        var opened = new List<MovingRegion>();
        var pairs = new List<string>();
        foreach (var (length, program) in regions)
        {
            string directory = Directory.CreateDirectory(Path.Combine(scratch, $"{opened.Count}")).FullName;
            string near = Path.Combine(directory, "l.sock"), far = Path.Combine(directory, "t.sock");
            opened.Add(await MovingRegion.OpenAsync(directory, far, near, length, program, opened.Count));
            pairs.AddRange([near, far]);
        }

        var relay = new Contender("line", scratch, Shell.Start(Environment.ProcessPath!, [Assembly.GetExecutingAssembly().Location, "relay", line, .. pairs]));
        await Shell.WaitAsync("the line", () => pairs.TrueForAll(File.Exists));
        return new SharedLine(relay, opened);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var region in Regions)
            await region.DisposeAsync();
        await _relay.DisposeAsync();
    }
}
