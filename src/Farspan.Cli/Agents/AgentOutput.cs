using System.Text.Json;
using Farspan.Cli.Terminal;
using Farspan.Linux.Userfaults.Agents;
using Farspan.Units;

namespace Farspan.Cli.Agents;

/// <summary>Says what an agent does, to people or to a script. Thread-safe.</summary>
internal sealed class AgentOutput(TextWriter output, bool json)
{
    private readonly Lock _lock = new();

    /// <summary>Writes an event.</summary>
    public void Write(AgentEvent happened)
    {
        lock (_lock)
        {
            output.WriteLine(json ? JsonSerializer.Serialize(happened, CliJson.Shapes.AgentEvent) : Line(happened));
            output.Flush();
        }
    }

    /// <summary>Writes that a client came or went.</summary>
    public void Write(AgentClientReport client)
    {
        bool hasGone = client.HasGone;
        Write(new AgentEvent(hasGone ? "gone" : "client")
        {
            Client = client.Number,
            ProcessId = client.ProcessId,
            UserId = client.UserId,
            Offset = client.Offset,
            Length = client.Length,
            ReadOnly = !client.IsWritable,
            Brought = hasGone ? client.BroughtBytes : null,
            Saved = hasGone ? client.SavedBytes : null,
            Lost = hasGone ? client.LostBytes : null,
            Faults = hasGone ? client.Faults : null,
            Error = hasGone ? client.Error : null,
        });
    }

    private static string Line(AgentEvent happened) => happened.Event switch
    {
        "ready" => $"serving {happened.Backend} ({ByteSize.Format(happened.Length!.Value)}{(happened.ReadOnly == true ? ", read-only" : "")}) as memory of other processes at {happened.Listen}",
        "client" => $"client {happened.Client} (process {happened.ProcessId}, user {happened.UserId}) mapped {ByteSize.Format(happened.Length!.Value)} at {happened.Offset}{(happened.ReadOnly == true ? ", read-only" : "")}",
        "gone" => $"client {happened.Client} has gone; brought {ByteSize.Format(happened.Brought!.Value)}, saved {ByteSize.Format(happened.Saved!.Value)}{Lost(happened)}",
        _ => "stopped; everything is flushed",
    };

    private static string Lost(AgentEvent happened)
        => (happened.Lost > 0 ? $", LOST {ByteSize.Format(happened.Lost.Value)}" : "") + (happened.Error is null ? "" : $": {happened.Error.ReplaceLineEndings(" ")}");
}
