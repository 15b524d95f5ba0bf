namespace Farspan.TestKit;

/// <summary>What <c>./test --long</c> asks for: every place and many more rounds, for hours.</summary>
public static class LongRun
{
    public static bool IsAskedFor { get; } = Environment.GetEnvironmentVariable("FARSPAN_LONG") == "1";

    /// <summary>The rounds of a random test: <paramref name="usual"/>, and ten times as many in a long run.</summary>
    public static int Rounds(int usual) => IsAskedFor ? 10 * usual : usual;
}
