using System.Text.Json;
using Farspan.Cli.Terminal;
using Farspan.Units;

namespace Farspan.Cli.Serving;

/// <summary>Says what a server does, to people or to a script.</summary>
internal sealed class ServeOutput(TextWriter output, bool json)
{
    private readonly Lock _lock = new();

    /// <summary>Writes an event. Thread-safe.</summary>
    public void Write(ServeEvent happened)
    {
        lock (_lock)
        {
            foreach (string line in json ? [JsonSerializer.Serialize(happened, CliJson.Shapes.ServeEvent)] : Lines(happened))
                output.WriteLine(line);
            output.Flush();
        }
    }

    private static IEnumerable<string> Lines(ServeEvent happened) => happened.Event switch
    {
        "ready" => happened.Uris!.Select(uri
            => $"serving {happened.Backend} ({ByteSize.Format(happened.Length!.Value)}{(happened.ReadOnly == true ? ", read-only" : "")}{Cached(happened)}) at {uri}"),
        "stopped" when happened.Sent is { } sent
            => [$"stopped; received {ByteSize.Format(happened.Received!.Value)}, sent {ByteSize.Format(sent)}; everything is flushed"],
        "stopped" => ["stopped; everything is flushed"],
        _ => [],
    };

    private static string Cached(ServeEvent happened)
        => happened.LocalBytes is { } local ? $", managed, {ByteSize.Format(local)} local already in {happened.Cache ?? "memory"}" : "";
}
