namespace Farspan.Tests.Migration.Model;

/// <summary>Of what nature a step is: what a proof that somebody can go on may count on.</summary>
[Flags]
internal enum ModelStep
{
    None = 0,

    /// <summary>Something goes wrong: a crash, a failing work, a message that is lost or comes twice.</summary>
    Fault = 1,

    /// <summary>Someone wants something that he need not want: a write, another move, an end.</summary>
    Choice = 2,

    /// <summary>The operator forces it.</summary>
    Force = 4,

    /// <summary>The first host alone does it.</summary>
    First = 8,

    /// <summary>The second host alone does it.</summary>
    Second = 16,
}
