using System.Runtime.InteropServices;
using System.Text;
using SQLitePCL;

namespace Farspan.Cli.Demo;

/// <summary>SQLite inside this process: the system's library where there is one, otherwise the one that comes along.</summary>
internal sealed class SqliteLibrary : ISqlite
{
    private static readonly Lock Gate = new();
    private static bool s_isReady;

    private SqliteLibrary(string description) => Description = description;

    /// <inheritdoc/>
    public string Description { get; }

    /// <summary>The library, or null where it cannot be loaded on this machine.</summary>
    public static SqliteLibrary? Find()
    {
        try
        {
            lock (Gate)
            {
                if (!s_isReady)
                {
                    NativeLibrary.SetDllImportResolver(typeof(SQLite3Provider_e_sqlite3).Assembly, PreferTheSystems);
                    Batteries_V2.Init();
                    s_isReady = true;
                }
            }

            return new SqliteLibrary($"SQLite {raw.sqlite3_libversion().utf8_to_string()}, as a library");
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException or TypeInitializationException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public async Task<string> RunAsync(string database, string sql, CancellationToken cancellationToken)
    {
        return await Task.Run(() => Run(database, sql, cancellationToken), CancellationToken.None);
    }

    private static nint PreferTheSystems(string name, System.Reflection.Assembly assembly, DllImportSearchPath? path)
        => name == "e_sqlite3" && NativeLibrary.TryLoad("libsqlite3.so.0", out nint library) ? library : 0;

    private static string Run(string database, string sql, CancellationToken cancellationToken)
    {
        int code = raw.sqlite3_open_v2(database, out sqlite3 handle, raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE, vfs: null);
        using (handle)
        {
            if (code != raw.SQLITE_OK)
                throw new CommandException($"SQLite cannot open {database}: {raw.sqlite3_errmsg(handle).utf8_to_string()}");
            using var interrupt = cancellationToken.Register(() => raw.sqlite3_interrupt(handle));
            var rows = new StringBuilder();
            strdelegate_exec collect = (_, values, _) =>
            {
                rows.AppendJoin('|', values).Append('\n');
                return 0;
            };
            code = raw.sqlite3_exec(handle, sql, collect, user_data: null, out string message);
            cancellationToken.ThrowIfCancellationRequested();
            return code == raw.SQLITE_OK ? rows.ToString() : throw new CommandException($"SQLite failed on {database}: {message}");
        }
    }
}
