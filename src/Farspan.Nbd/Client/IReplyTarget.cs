namespace Farspan.Nbd.Client;

/// <summary>Where the parser of replies puts what it reads.</summary>
internal interface IReplyTarget
{
    /// <summary>The slot that a cookie belongs to, or null where no request with that cookie is on the wire.</summary>
    ReplySlot? Find(ulong cookie);

    /// <summary>
    /// The caller's buffer for a read; until <see cref="GiveBack"/>, on the same thread, who gives up has to wait, so nothing else may be waited
    /// for meanwhile. Empty where the caller gave up.
    /// </summary>
    Memory<byte> Borrow(ReplySlot slot);

    /// <summary>The buffer is not touched any more.</summary>
    void GiveBack(ReplySlot slot);

    /// <summary>The reply is complete: the slot is free again.</summary>
    void Finish(ReplySlot slot);
}
