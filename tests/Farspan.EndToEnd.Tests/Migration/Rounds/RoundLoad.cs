namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>A program that uses the region, on one host at a time, and what must not be lost of what it did.</summary>
internal abstract class RoundLoad
{
    /// <summary>What was acknowledged to it so far: it grows while the program gets on.</summary>
    public abstract long Acknowledged { get; }

    /// <summary>Makes the store that the first host begins with.</summary>
    public abstract Task MakeAsync(string store);

    /// <summary>Starts the program. It waits until the target is there.</summary>
    /// <param name="host">Where.</param>
    /// <param name="epoch">The ownership under which it runs.</param>
    public abstract ProcessGroup Start(RoundHost host, long epoch);

    /// <summary>What was not durable at a host may be lost: its mount was killed.</summary>
    public abstract void Crashed(RoundHost host);

    /// <summary>The program runs at the other host from now on: what one that is left at this host begins must fail.</summary>
    /// <param name="host">Which the region has left.</param>
    /// <param name="to">Which has it.</param>
    public abstract void Departed(RoundHost host, RoundHost to);

    /// <summary>Compares the region, while no program runs, with all that was acknowledged.</summary>
    /// <param name="file">The region, as a file.</param>
    /// <exception cref="RoundFailedException">Something is lost, or was acknowledged where it must not be.</exception>
    public abstract Task CheckAsync(string file);

    /// <summary>Whether 4 KiB of the region may differ from those of the host that it came from.</summary>
    /// <param name="here">Those of the region.</param>
    /// <param name="page">Which of them.</param>
    /// <param name="epoch">The ownership since it came.</param>
    public virtual bool MayDiffer(ReadOnlySpan<byte> here, int page, long epoch) => true;

    /// <summary>Lines that a program has written completely.</summary>
    public static string[] LinesOf(string file)
    {
        if (!File.Exists(file))
            return [];
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        string text = reader.ReadToEnd();
        return text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
