namespace Farspan.Migration;

/// <summary>What the pulls of a leecher have to know of its rules. All but the last two are called under the copy's gate.</summary>
internal abstract class CopyRules
{
    /// <summary>Whether the program uses the region meanwhile.</summary>
    public abstract bool IsUsed { get; }

    /// <summary>Whether the region was handed over to this host: what a seeder refuses then it will not send any more.</summary>
    public abstract bool IsHandedOver { get; }

    /// <summary>The request under which bytes may be read now; null where none may.</summary>
    public abstract SeederRequest? AskRead();

    /// <summary>Whether what came in reply to a request counts.</summary>
    public abstract bool MayStore(SeederRequest request);

    /// <summary>The seeder refuses to read.</summary>
    public abstract void Refused(SeederRequest request);

    /// <summary>Everything is here, as far as is known.</summary>
    public abstract void BecameWhole();
}
