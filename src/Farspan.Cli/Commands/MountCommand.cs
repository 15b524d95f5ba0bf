using System.CommandLine;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan mount REMOTE TARGET</c>: makes a remote an ordinary file.</summary>
internal static class MountCommand
{
    private const string Description =
        "Make a remote visible as an ordinary file at TARGET. Returns once TARGET can be used and leaves a process behind that serves it, "
        + "until 'farspan umount TARGET'. The mount is managed: a local cache holds what was read and written, everything else is pulled in the "
        + "background, what was written is pushed, and fsync returns once it is durable at the remote. --direct does without the cache.";

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var record = new Option<string>("--record") { Description = "Record in which order the file is first read and written, and keep that in FILE when the mount ends, for --pull-order FILE.", HelpName = "FILE" };
        var options = new MountOptions(record);
        var command = new VerbCommand("mount", Description)
        {
            Examples =
            [
                ("farspan mount nbd://127.0.0.1:10809/ /mnt/disk.img", "any program can now read, write and map /mnt/disk.img"),
                ("farspan mount nbd://127.0.0.1:10809/ /mnt/disk.img --cache ~/disk.cache", "with a cache that outlives a crash, and the mount"),
                ("farspan mount nbd://127.0.0.1:10809/ /mnt/disk.img --direct", "no cache: every access goes to the remote"),
                ("farspan mount 'nbd+unix:///?socket=/tmp/nbdkit.sock' /mnt/other.img", "what another NBD server serves on a Unix socket"),
                ("farspan mount https://host/disk.img /mnt/disk.img --cache ~/disk.cache", "an object of a web server, read-only, pulled as it is used"),
                ("farspan mount nbd://host/db ~/db.sqlite --read-only --foreground", "stay until Ctrl-C"),
                ("farspan mount nbd://host/disk /mnt/disk.img --listen nbd://127.0.0.1:10810", "NBD clients can read the mount too, and see what is local and dirty"),
                ("farspan mount nbd://host/disk /mnt/disk.img --record boot.trace", "record in which order it is used; --pull-order boot.trace then pulls in that order"),
                ("farspan umount /mnt/disk.img", "end it"),
            ],
        };
        options.AddTo(command);
        command.SetAction(options.RunAsync);
        return command;
    }
}
