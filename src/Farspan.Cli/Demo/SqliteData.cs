using System.Globalization;

namespace Farspan.Cli.Demo;

/// <summary>A SQLite database of instrument readings, with an index by serial number.</summary>
internal sealed class SqliteData(ISqlite sqlite) : IDemoData
{
    private const int BytesPerRow = 1024;

    /// <inheritdoc/>
    public string Description => $"a SQLite database ({sqlite.Description})";

    /// <inheritdoc/>
    public string FileName => "readings.db";

    /// <inheritdoc/>
    public bool UsesUri => false;

    /// <inheritdoc/>
    public long RowCount { get; private set; }

    /// <inheritdoc/>
    public async Task CreateAsync(string path, long length, CancellationToken cancellationToken)
    {
        // The index and the pages' own bytes take what is left of the 1024.
        RowCount = length / BytesPerRow + 1;
        await sqlite.RunAsync(
            path,
            $"""
            PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;
            CREATE TABLE readings(id INTEGER PRIMARY KEY, serial INTEGER NOT NULL, station TEXT NOT NULL, value REAL NOT NULL, note TEXT NOT NULL, raw BLOB NOT NULL);
            BEGIN;
            WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < {Text(RowCount)})
            INSERT INTO readings SELECT i, i * 7919 % {Text(SerialModulus)}, printf('station-%04d', i % 5000), i * 0.5, 'as measured', randomblob(940) FROM n;
            CREATE UNIQUE INDEX readings_by_serial ON readings(serial);
            COMMIT;
            PRAGMA journal_mode=DELETE;
            """,
            cancellationToken);
    }

    /// <inheritdoc/>
    public Task<string> LookUpAsync(string location, IEnumerable<long> serials, CancellationToken cancellationToken)
        => sqlite.RunAsync(
            location,
            string.Concat(serials.Select(serial => $"SELECT id, station, value, note FROM readings WHERE serial = {Text(SerialOf(serial))};\n")),
            cancellationToken);

    /// <inheritdoc/>
    public Task<string> SumAsync(string location, long firstRow, int count, CancellationToken cancellationToken)
        => sqlite.RunAsync(
            location,
            $"SELECT count(*), sum(value), sum(length(raw)) FROM readings WHERE id BETWEEN {Text(firstRow)} AND {Text(firstRow + count - 1)};",
            cancellationToken);

    /// <inheritdoc/>
    public Task ChangeAsync(string location, long serial, string text, CancellationToken cancellationToken)
        => sqlite.RunAsync(
            location, $"PRAGMA synchronous=FULL; UPDATE readings SET note = '{text}' WHERE serial = {Text(SerialOf(serial))};", cancellationToken);

    /// <inheritdoc/>
    public async Task<string> CheckAsync(string location, CancellationToken cancellationToken)
    {
        string answer = (await sqlite.RunAsync(location, "PRAGMA integrity_check;", cancellationToken)).Trim();
        return answer == "ok" ? "PRAGMA integrity_check: ok" : throw new CommandException($"the database is damaged: {answer}");
    }

    // A prime above the number of rows keeps serial numbers unique and scattered.
    private const long SerialModulus = 1_000_000_007;

    private static long SerialOf(long row) => row * 7919 % SerialModulus;

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
