using System.CommandLine;
using Farspan.Cli.Migration;
using Farspan.Units;

namespace Farspan.Cli.Commands;

/// <summary>How the program that uses a region is stopped and started, as <c>seed</c> and <c>leech</c> have it.</summary>
internal sealed class HookOptions
{
    private readonly Option<string> _onSuspend = new("--on-suspend") { Description = "A command that suspends the program before the hand-over, run by /bin/sh; it returns once the program writes no more. It finds FARSPAN_EVENT, FARSPAN_TARGET, FARSPAN_REGION and FARSPAN_EPOCH in its environment.", HelpName = "COMMAND" };
    private readonly Option<string> _onResume;
    private readonly Option<int?> _program = new("--program") { Description = "Stop this process for the hand-over, by SIGSTOP.", HelpName = "PID" };
    private readonly Option<int?> _programGroup = new("--program-group") { Description = "Stop this process group for the hand-over, by SIGSTOP.", HelpName = "PGID" };
    private readonly Option<string> _signal = new("--suspend-signal") { Description = "How --program and --program-group stop: stop (SIGSTOP), or tstp (SIGTSTP) for a program that takes it and then stops itself.", DefaultValueFactory = _ => "stop" };
    private readonly Option<string> _freeze = new("--freeze") { Description = "Freeze this control group (version 2) for the hand-over, such as /system.slice/db.service.", HelpName = "CGROUP" };
    private readonly Option<string> _timeout = new("--suspend-timeout") { Description = "Time for suspending the program, for writing back what it wrote, and for resuming it, each. What takes longer is undone.", HelpName = "TIME", DefaultValueFactory = _ => "30s" };

    /// <summary>The options.</summary>
    /// <param name="onResume">What <c>--on-resume</c> is for.</param>
    public HookOptions(string onResume)
    {
        _onResume = new("--on-resume") { Description = onResume, HelpName = "COMMAND" };
        _signal.AcceptOnlyFromAmong("stop", "tstp");
    }

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All => [_onSuspend, _onResume, _program, _programGroup, _signal, _freeze, _timeout];

    /// <summary>What they say.</summary>
    public HookSettings Read(ParseResult result) => new()
    {
        OnSuspend = result.GetValue(_onSuspend),
        OnResume = result.GetValue(_onResume),
        Program = result.GetValue(_program),
        ProgramGroup = result.GetValue(_programGroup),
        Politely = result.GetValue(_signal) == "tstp",
        Freeze = result.GetValue(_freeze),
    };

    /// <summary>The time for each step.</summary>
    /// <exception cref="FormatException">It is no duration, or zero.</exception>
    public TimeSpan ReadTimeout(ParseResult result)
        => DurationText.Parse(result.GetValue(_timeout)!) is var time && time > TimeSpan.Zero ? time : throw new FormatException("--suspend-timeout must be more than zero; give one such as 30s");
}
