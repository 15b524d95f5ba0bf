using System.CommandLine;

namespace Farspan.Cli.Commands;

/// <summary>A verb with the examples that its help shows.</summary>
internal sealed class VerbCommand(string name, string description) : Command(name, description)
{
    /// <summary>Command lines and what they do.</summary>
    public IReadOnlyList<(string CommandLine, string Meaning)> Examples { get; init; } = [];
}
