using System.CommandLine;

namespace Farspan.Cli.Commands;

/// <summary>A verb with the examples that its help shows.</summary>
internal sealed class VerbCommand(string name, string description) : Command(name, description)
{
    /// <summary>Command lines and what they do.</summary>
    public IReadOnlyList<(string CommandLine, string Meaning)> Examples { get; init; } = [];

    /// <summary>Adds an argument that must not look like an option: a mistyped option is wrong usage, not a file of that name.</summary>
    public void AddArgument(Argument<string> argument)
    {
        argument.Validators.Add(result =>
        {
            if (result.Tokens is [var token, ..] && token.Value.StartsWith('-'))
                result.AddError($"unrecognized option '{token.Value}' (a path that starts with '-' is written ./{token.Value})");
        });
        Add(argument);
    }
}
