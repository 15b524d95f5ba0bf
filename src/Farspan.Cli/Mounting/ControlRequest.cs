namespace Farspan.Cli.Mounting;

/// <summary>What is asked of a mount's process.</summary>
/// <param name="Verb"><see cref="Umount"/>, <see cref="Status"/>, <see cref="Finalize"/> or <see cref="ForgetSeeder"/>.</param>
/// <param name="Force">With <see cref="Umount"/>: detach even while programs use the file, and cut them off after a while.</param>
internal sealed record ControlRequest(string Verb, bool Force = false)
{
    /// <summary>Unmount, and say what became of it.</summary>
    public const string Umount = "umount";

    /// <summary>Say how the mount is.</summary>
    public const string Status = "status";

    /// <summary>Of a leech: ask for the hand-over now.</summary>
    public const string Finalize = "finalize";

    /// <summary>Of a leech: the seeder is lost for good; once everything is here the move ends without it.</summary>
    public const string ForgetSeeder = "forget-seeder";
}
