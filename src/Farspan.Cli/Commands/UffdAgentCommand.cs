using System.CommandLine;
using Farspan.Cli.Agents;
using Farspan.Cli.Terminal;
using Farspan.Linux.Processes;
using Farspan.Linux.Userfaults.Agents;
using Farspan.Units;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan uffd-agent BACKEND</c>: serves a backend as memory of other processes.</summary>
internal static class UffdAgentCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var backend = new Argument<string>("BACKEND") { Description = "What to serve, such as file:disk.img, nbd://far/state or pattern:1GiB." };
        var listen = new Option<string>("--listen") { Description = "Where clients connect, with their userfault descriptors: unix:PATH.", HelpName = "unix:PATH", Required = true };
        var allow = new Option<string[]>("--allow") { Description = "Users, by name or number, that may connect beside this one. May be repeated. Without it the socket's file is for this user only.", HelpName = "USER" };
        var readOnly = new Option<bool>("--read-only") { Description = "Refuse to map anything for writing." };
        var clients = new Option<int>("--max-clients") { Description = "Clients at once; further ones are told so.", DefaultValueFactory = _ => 64 };
        var bytes = new Option<string>("--max-bytes") { Description = "Bytes that one client may map. Default: all of BACKEND.", HelpName = "SIZE" };
        var resident = new Option<string>("--resident-limit") { Description = "Bytes of one client's region that may be in memory; what was written is saved before it goes. At least 16 fault chunks. Default: no limit.", HelpName = "SIZE" };
        var chunk = new Option<string>("--fault-chunk") { Description = "Bytes that a page fault brings: a power of two from 4KiB to 32MiB.", HelpName = "SIZE", DefaultValueFactory = _ => "64KiB" };
        var save = new Option<string>("--save-interval") { Description = "How often what clients wrote is given to BACKEND.", HelpName = "TIME", DefaultValueFactory = _ => "5s" };
        var handshake = new Option<string>("--handshake-timeout") { Description = "Time that a client may take from connecting to mapping.", HelpName = "TIME", DefaultValueFactory = _ => "10s" };
        var managed = ManagedOptions.ForAgent();
        var timeout = SharedOptions.Timeout();
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Say who connects and who is sent away, on standard error." };
        var json = SharedOptions.Json();
        var command = new VerbCommand("uffd-agent", "Serve a backend as memory of other processes, until Ctrl-C, which saves what they wrote: each sends its userfault descriptor and a file of shared memory over a Unix socket, and its page faults are answered from BACKEND.")
        {
            Examples =
            [
                ("farspan uffd-agent file:state.img --listen unix:/run/user/1000/state.sock", "for programs of this user: in C as samples/UffdClientC, in .NET by AgentMemory"),
                ("farspan uffd-agent nbd://far/state --listen unix:/tmp/state.sock --managed --cache ~/state.cache", "far memory, with a cache that outlives a crash"),
                ("farspan uffd-agent nbd://far/state --listen unix:/tmp/state.sock --resident-limit 1GiB", "more memory than there is"),
                ("farspan uffd-agent file:model.bin --read-only --listen unix:/run/model.sock --allow www-data", "the same bytes for any number of readers"),
            ],
        };
        command.AddArgument(backend);
        foreach (var option in (Option[])[listen, allow, readOnly, clients, bytes, resident, chunk, save, handshake, .. managed.All, timeout, verbose, json])
            command.Add(option);
        command.SetAction(async (result, cancellationToken) =>
        {
            var requestTimeout = SharedOptions.ReadTimeout(result.GetValue(timeout)!);
            var settings = new AgentSettings
            {
                Backend = result.GetValue(backend)!,
                SocketPath = ReadSocket(result.GetValue(listen)!),
                Options = Checked(new UserfaultAgentOptions
                {
                    AllowedUsers = result.GetValue(allow) is { Length: > 0 } users ? [.. users.Select(ReadUser)] : null,
                    ReadOnly = result.GetValue(readOnly),
                    MaximumClients = result.GetValue(clients),
                    MaximumBytes = ReadSize(result, bytes),
                    ResidentLimit = ReadSize(result, resident),
                    ChunkSize = (int)Math.Min(int.MaxValue, ReadSize(result, chunk)!.Value),
                    SaveInterval = ReadTime(result, save),
                    HandshakeTimeout = ReadTime(result, handshake),
                }),
                Managed = managed.Read(result, requestTimeout),
                Timeout = requestTimeout,
            };
            var logger = new LineLogger(result.InvocationConfiguration.Error, result.GetValue(verbose) ? LogLevel.Information : LogLevel.Error);
            var output = new AgentOutput(result.InvocationConfiguration.Output, result.GetValue(json));
            await new AgentService(settings, output, logger).RunAsync(Registry.Create(), cancellationToken);
            return ExitCodes.Done;
        });
        return command;
    }

    private static string ReadSocket(string text)
        => text.StartsWith("unix:", StringComparison.Ordinal) && text.Length > "unix:".Length
            ? text["unix:".Length..]
            : throw new FormatException($"--listen {text}: give unix:PATH; descriptors pass over Unix sockets only");

    private static uint ReadUser(string user)
        => user.Length > 0 && SystemUsers.Find(user) is { } id ? id : throw new FormatException($"--allow {user}: this system has no such user");

    private static long? ReadSize(ParseResult result, Option<string> option)
    {
        if (result.GetValue(option) is not { } text)
            return null;
        return ByteSize.TryParse(text, out long size) ? size : throw new FormatException($"{option.Name} '{text}' is no size; give one such as 64KiB or 1GiB");
    }

    private static TimeSpan ReadTime(ParseResult result, Option<string> option)
        => DurationText.TryParse(result.GetValue(option)!, out var time) ? time : throw new FormatException($"{option.Name} '{result.GetValue(option)}' is no duration; give one such as 250ms or 5s");

    private static UserfaultAgentOptions Checked(UserfaultAgentOptions options)
    {
        try
        {
            options.Validate();
            return options;
        }
        catch (ArgumentException error)
        {
            throw new FormatException(error.Message.Split(" (Parameter", 2)[0].TrimEnd('.'), error);
        }
    }
}
