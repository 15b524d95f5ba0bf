using Xunit;

namespace Farspan.TestKit;

/// <summary>A theory that is skipped, naming what is missing, where a program, a device or a privilege is not here.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresTheoryAttribute : TheoryAttribute
{
    public RequiresTheoryAttribute(params string[] needs)
    {
        Needs = needs;
        Timeout = 120_000;
        Skip = Requirement.Missing(needs);
    }

    public IReadOnlyList<string> Needs { get; }
}
