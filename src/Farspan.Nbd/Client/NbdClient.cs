using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>Questions to an NBD server that open no export. Thread-safe.</summary>
public static class NbdClient
{
    /// <summary>The names and descriptions of the exports that a server lists.</summary>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="BackendException">The server cannot be reached, or does not list its exports.</exception>
    public static Task<IReadOnlyList<NbdExportDetails>> ListExportsAsync(NbdClientOptions options, CancellationToken cancellationToken = default)
        => AskAsync(
            options,
            static (handshake, _) =>
            {
                if (!handshake.KnowsOptions)
                    throw new BackendException(BackendError.NotSupported, $"The server speaks {handshake.Style}, which cannot list exports.");
                return handshake.List();
            },
            cancellationToken);

    /// <summary>
    /// What a server offers: every export that it lists, and the one that <paramref name="options"/> name where it is not listed. Details are
    /// missing (null) where the server knows no INFO option, except for the export asked for.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="BackendException">The server cannot be reached, or has no such export.</exception>
    public static Task<NbdServerDetails> InspectAsync(NbdClientOptions options, CancellationToken cancellationToken = default)
        => AskAsync(options, Inspect, cancellationToken);

    private static async Task<T> AskAsync<T>(
        NbdClientOptions options, Func<ClientHandshake, NbdClientOptions, T> ask, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var asked = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                var (transport, answer) = NbdOpening.Run(options, (transport, options) => Talk(transport, options, ask), cancellationToken);
                transport.Dispose();
                asked.TrySetResult(answer);
            }
            catch (Exception error)
            {
                asked.TrySetException(error);
            }
        })
        {
            IsBackground = true,
            Name = "nbd question",
        };
        thread.Start();
        return await NbdOpening.WaitAsync(asked, options, cancellationToken);
    }

    private static T Talk<T>(NbdTransport transport, NbdClientOptions options, Func<ClientHandshake, NbdClientOptions, T> ask)
    {
        var handshake = new ClientHandshake(transport, options);
        handshake.Greet();
        var answer = ask(handshake, options);
        handshake.Abort();
        return answer;
    }

    private static NbdServerDetails Inspect(ClientHandshake handshake, NbdClientOptions options)
    {
        if (!handshake.KnowsOptions)
            return Details(handshake, options, [Describe(new NbdExportDetails { Name = options.ExportName }, handshake.EnterByName())]);
        handshake.AgreeOnReplies();
        var exports = new List<NbdExportDetails>();
        try
        {
            exports.AddRange(handshake.List());
        }
        catch (BackendException error) when (error.Error is BackendError.NotSupported or BackendError.AccessDenied or BackendError.Invalid)
        {
            // A server need not list; the export asked for is looked at all the same.
        }

        int named = exports.FindIndex(e => e.Name == options.ExportName);
        var wanted = named >= 0 ? exports[named] : new NbdExportDetails { Name = options.ExportName };
        if (named >= 0)
            exports.RemoveAt(named);
        bool isAskedFor = named >= 0 || options.ExportName.Length > 0 || exports.Count == 0;
        for (int i = 0; i < exports.Count; i++)
            exports[i] = Look(handshake, exports[i], isRequired: false);
        if (isAskedFor)
            exports.Insert(0, Look(handshake, wanted, isRequired: true));
        return Details(handshake, options, exports);
    }

    private static NbdExportDetails Look(ClientHandshake handshake, NbdExportDetails export, bool isRequired)
    {
        ExportAnswer? answer;
        try
        {
            answer = handshake.TryGo(NbdOption.Info, export.Name, [NbdInfo.Description, NbdInfo.BlockSize]);
        }
        catch (BackendException error) when (!isRequired && error.Error is not (BackendError.Protocol or BackendError.Disconnected))
        {
            return export;
        }

        if (answer is null)
            return export;
        export = Describe(export, answer.Export) with { Contexts = handshake.ListContexts(export.Name), Description = answer.Text ?? export.Description };
        if (!answer.HasBlockSizes)
            return export;
        return export with
        {
            MinimumBlockSize = answer.Export.MinimumBlock,
            PreferredBlockSize = answer.Export.PreferredBlock,
            MaximumBlockSize = answer.Export.MaximumBlock,
        };
    }

    private static NbdExportDetails Describe(NbdExportDetails export, ExportDescription description) => export with
    {
        Size = description.Size,
        IsReadOnly = description.Can(NbdTransmissionFlags.ReadOnly),
        CanMultiConnection = description.Can(NbdTransmissionFlags.CanMultiConn),
        CanFlush = description.Can(NbdTransmissionFlags.SendFlush),
        CanForceUnitAccess = description.Can(NbdTransmissionFlags.SendFua),
        CanTrim = description.Can(NbdTransmissionFlags.SendTrim),
        CanZero = description.Can(NbdTransmissionFlags.SendWriteZeroes),
        CanZeroFast = description.Can(NbdTransmissionFlags.SendFastZero),
        CanCache = description.Can(NbdTransmissionFlags.SendCache),
        CanDontFragment = description.Can(NbdTransmissionFlags.SendDf),
        IsRotational = description.Can(NbdTransmissionFlags.Rotational),
    };

    private static NbdServerDetails Details(ClientHandshake handshake, NbdClientOptions options, IReadOnlyList<NbdExportDetails> exports) => new()
    {
        Protocol = handshake.Style,
        IsEncrypted = options.Tls is not null,
        StructuredReplies = handshake.StructuredReplies,
        ExtendedHeaders = handshake.ExtendedHeaders,
        Exports = exports,
    };
}
