using Farspan.Linux.Migration;

namespace Farspan.Cli.Migration;

/// <summary>How the program that uses a region is stopped and started, as the command line says it.</summary>
internal sealed record HookSettings
{
    /// <summary>A command that suspends it; null for none.</summary>
    public string? OnSuspend { get; init; }

    /// <summary>A command that lets it go on; null for none.</summary>
    public string? OnResume { get; init; }

    /// <summary>A process that is stopped; null for none.</summary>
    public int? Program { get; init; }

    /// <summary>A process group that is stopped; null for none.</summary>
    public int? ProgramGroup { get; init; }

    /// <summary>Stop processes by SIGTSTP, which they take, instead of SIGSTOP. Default: false.</summary>
    public bool Politely { get; init; }

    /// <summary>A control group that is frozen; null for none.</summary>
    public string? Freeze { get; init; }

    /// <summary>The hook. The command comes first when the program is suspended, and last when it goes on.</summary>
    /// <exception cref="CommandException">There is no such process or group.</exception>
    public IProgramHook Create()
    {
        try
        {
            var hooks = new List<IProgramHook> { new CommandHook(OnSuspend, OnResume) };
            if (Program is { } process)
                hooks.Add(SignalHook.ForProcess(process, Politely));
            if (ProgramGroup is { } group)
                hooks.Add(SignalHook.ForGroup(group, Politely));
            if (Freeze is not null)
                hooks.Add(FreezerHook.For(Freeze));
            return new HookSequence(hooks);
        }
        catch (HookException error)
        {
            throw new CommandException(error.Message, error);
        }
    }
}
