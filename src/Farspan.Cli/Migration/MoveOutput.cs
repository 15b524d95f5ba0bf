using System.Globalization;
using System.Text.Json;
using Farspan.Cli.Terminal;
using Farspan.Units;

namespace Farspan.Cli.Migration;

/// <summary>Says what becomes of a region, to people or to a script. Thread-safe.</summary>
internal sealed class MoveOutput(TextWriter output, bool json)
{
    private readonly Lock _lock = new();

    /// <summary>Writes an event.</summary>
    public void Write(MoveEvent happened)
    {
        lock (_lock)
        {
            foreach (string line in json ? [JsonSerializer.Serialize(happened, CliJson.Shapes.MoveEvent)] : Lines(happened))
                output.WriteLine(line);
            output.Flush();
        }
    }

    private static IEnumerable<string> Lines(MoveEvent happened) => happened.Event switch
    {
        "ready" when happened.Source is null => happened.Uris!.Select(uri => $"seeding {happened.Backend} ({Size(happened.Length)}){At(happened)}; it can be leeched at {uri}"),
        "ready" => [$"leeching {happened.Source} ({Size(happened.Length)}) into {happened.Backend}{At(happened)}; what uses that waits until the region is here"],
        "seeding" => happened.Uris!.Select(uri => $"it can be leeched at {uri}"),
        "leecher" => [$"a leecher follows (move {happened.Token})"],
        "not-handed-over" => [$"not handed over, the program goes on here: {happened.Error}"],
        "given-up" => [happened.Source is null ? "the leecher gave up; the program goes on here" : "given up; the program goes on at the source"],
        "handed-over" => [$"handed over (epoch {happened.Epoch}){Pause(happened)}; the destination still needs about {Size(happened.Missing)} from here{(happened.Target is null ? "" : $"; {happened.Target} gives nothing any more")}"],
        "taken-back" => [$"taken back (region {happened.Region}, epoch {happened.Epoch}); the program goes on here"],
        "needed" => [$"not stopped: the destination still needs about {Size(happened.Missing)} from here; once more to stop all the same, and the same command goes on with it"],
        "released" => ["released: the destination has everything; what is here may be deleted"],
        "progress" => [$"{Size(happened.Moved)} came, {Size(happened.Missing)} missing, {Size(happened.Rate)}/s, round {happened.Rounds}"],
        "trouble" => [$"{happened.Error}"],
        "received" => [$"received (epoch {happened.Epoch}){Pause(happened)}; the program runs here, {Size(happened.Missing)} are still to come"],
        "completed" => ["completed: everything is here, durable, and the source has let go"],
        _ => [$"stopped{(happened.Error is null ? "" : $"; {happened.Error}")}"],
    };

    private static string At(MoveEvent happened) => happened.Target is null ? "" : $" at {happened.Target}";

    private static string Pause(MoveEvent happened)
        => happened.Pause is { } pause ? string.Create(CultureInfo.InvariantCulture, $", {pause:0.#} ms after the program was suspended") : "";

    private static string Size(long? bytes) => ByteSize.Format(bytes ?? 0);
}
