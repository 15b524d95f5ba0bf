namespace Farspan.Tests.Migration.Model;

/// <summary>What happened, in words that are put together only when somebody reads them.</summary>
/// <param name="Host">Which host.</param>
/// <param name="What">What it did.</param>
/// <param name="Detail">With what.</param>
internal readonly record struct ModelEvent(int Host, string What, string Detail = "")
{
    public override string ToString() => Detail.Length == 0 ? $"{Host} {What}" : $"{Host} {What} {Detail}";
}
