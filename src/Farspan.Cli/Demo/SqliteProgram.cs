using System.Diagnostics;

namespace Farspan.Cli.Demo;

/// <summary>The <c>sqlite3</c> program of the system.</summary>
internal sealed class SqliteProgram : ISqlite
{
    private readonly string _program;

    private SqliteProgram(string program, string description)
    {
        _program = program;
        Description = description;
    }

    /// <inheritdoc/>
    public string Description { get; }

    /// <summary>The program, or null where it is not here or does not run.</summary>
    public static async Task<SqliteProgram?> FindAsync(CancellationToken cancellationToken)
    {
        if (Programs.Find("sqlite3") is not { } program)
            return null;
        try
        {
            var candidate = new SqliteProgram(program, "");
            string version = (await candidate.RunAsync(":memory:", "SELECT sqlite_version();", cancellationToken)).Trim();
            return new SqliteProgram(program, $"the sqlite3 program, {version}");
        }
        catch (Exception error) when (error is CommandException or System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public async Task<string> RunAsync(string database, string sql, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(_program, ["-init", "/dev/null", "-batch", "-bail", "-list", database])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var error = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.StandardInput.WriteAsync(sql.AsMemory(), cancellationToken);
            process.StandardInput.Close();
            await process.WaitForExitAsync(cancellationToken);
            if (process.ExitCode != 0)
                throw new CommandException($"sqlite3 failed on {database}: {(await error).Trim()}");
            return await output;
        }
        catch (Exception error) when (error is OperationCanceledException or IOException)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            throw;
        }
    }
}
