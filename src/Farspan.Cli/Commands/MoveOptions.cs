using System.CommandLine;
using Farspan.Linux.Fuse;

namespace Farspan.Cli.Commands;

/// <summary>What <c>seed</c> and <c>leech</c> have alike: the export's name, the record's place, and how the file appears.</summary>
internal sealed class MoveOptions
{
    private readonly Option<string> _name = new("--name") { Description = "The name of the export that leechers get; empty is the default export.", HelpName = "EXPORT", DefaultValueFactory = _ => "" };
    private readonly Option<string> _state = new("--state") { Description = "The directory that keeps who owns the region. Default: beside a store that is a file or a directory, its name with .farspan.", HelpName = "DIR" };
    private readonly Option<string> _behind = new("--behind") { Description = "A store that both hosts reach and that has whatever a flush covered, such as farspan://store/x: the loss of either host then loses nothing that was flushed. Give it on both.", HelpName = "BACKEND" };
    private readonly Option<string> _via = new("--via") { Description = "How TARGET appears. Only fuse (a file) for now.", DefaultValueFactory = _ => "fuse" };
    private readonly Option<bool> _allowOther = new("--allow-other") { Description = "Let other users use the file, as far as --mode lets them. For users other than root it needs user_allow_other in /etc/fuse.conf." };
    private readonly Option<string> _mode = new("--mode") { Description = "Permissions of the file, in octal.", DefaultValueFactory = _ => "600" };

    /// <summary>The options.</summary>
    public MoveOptions() => _via.AcceptOnlyFromAmong("fuse");

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All => [_name, _state, _behind, _via, _allowOther, _mode];

    /// <summary>The export's name.</summary>
    public string ReadName(ParseResult result) => result.GetValue(_name)!;

    /// <summary>The record directory; null where none was told.</summary>
    public string? ReadState(ParseResult result) => result.GetValue(_state);

    /// <summary>The store behind the region; null where none was told.</summary>
    public string? ReadBehind(ParseResult result) => result.GetValue(_behind);

    /// <summary>How the file appears.</summary>
    /// <exception cref="FormatException">The mode is none.</exception>
    public FuseMountOptions ReadFuse(ParseResult result)
        => new() { AllowOther = result.GetValue(_allowOther), Mode = MountOptions.ParseMode(result.GetValue(_mode)!) };
}
