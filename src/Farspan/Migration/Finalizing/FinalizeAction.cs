namespace Farspan.Migration.Finalizing;

/// <summary>What a migration does until its policy is asked again. An order to hand over, by somebody else, ends each wait.</summary>
public enum FinalizeAction
{
    /// <summary>
    /// Go on copying what is known to be missing, and ask again when all of it has been copied or the delay is over, whichever comes first. Where nothing is
    /// missing, ask again after the delay.
    /// </summary>
    Copy,

    /// <summary>Take another round after the delay, and go on copying until then. Where all is copied earlier, the policy is asked earlier.</summary>
    Round,

    /// <summary>
    /// Take another round after the delay, and copy nothing until then: the policy wants to see what the program writes, and what it writes again and again
    /// is not worth copying yet. A migration that cannot hold its copy takes it as <see cref="Round"/>.
    /// </summary>
    Watch,

    /// <summary>Ask for the hand-over now, whatever is missing. The delay has no meaning.</summary>
    Finalize,
}
