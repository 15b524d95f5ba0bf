using System.Globalization;
using Farspan.TestKit.Peers;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>
/// The sqlite3 program with transfers between accounts, each a transaction that is noted once it was committed. Where it starts, it checks the database first: it is sound, no money was made or
/// lost, and every transfer that was noted is in it. The rollback journal lies beside the database, and goes with it.
/// </summary>
/// <param name="directory">Keeps the notes.</param>
/// <param name="length">Bytes of the region.</param>
internal sealed class SqliteLoad(string directory, long length) : RoundLoad
{
    private const int Accounts = 200;
    private const int Total = Accounts * 1000;

    private readonly List<string> _committed = [];
    private readonly List<SqliteNotes> _notes = [];
    private long _next = 1;

    /// <inheritdoc/>
    public override long Acknowledged => _committed.Count + _notes.Sum(static notes => notes.Committed.Count());

    /// <inheritdoc/>
    public override async Task MakeAsync(string store)
    {
        string make = $"""
            CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
            WITH RECURSIVE count(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM count WHERE i < {Accounts - 1}) INSERT INTO account SELECT i, 1000 FROM count;
            CREATE TABLE transfer(id INTEGER PRIMARY KEY, payer INTEGER, payee INTEGER, sum INTEGER, host TEXT, filler TEXT);
            CREATE INDEX filler ON transfer(filler);
            """;
        await PeerProcess.RunOkAsync("sqlite3", ["-bail", store], input: make);
        await using var file = File.OpenWrite(store);
        file.SetLength(length);
    }

    /// <inheritdoc/>
    public override ProcessGroup Start(RoundHost host, long epoch)
    {
        string[] committed = Committed();
        string at = Path.Combine(directory, _next.ToString(CultureInfo.InvariantCulture));
        File.WriteAllText(at + ".awk", Transfers);
        File.WriteAllText(at + ".sh", Script);
        WriteCheck(at, committed);
        _notes.Add(new SqliteNotes(at, host.Name, Expected));
        string mode = (_notes.Count % 3) switch { 0 => "TRUNCATE", 1 => "DELETE", _ => "PERSIST" };
        var started = ProcessGroup.Start("sh", at + ".sh", host.Target, at, $"{_next}", host.Name, mode);
        _next += 100_000;
        return started;
    }

    /// <inheritdoc/>
    public override void Crashed(RoundHost host)
    {
        foreach (var notes in _notes.Where(notes => notes.Host == host.Name))
            notes.IsCut = true;
    }

    /// <inheritdoc/>
    public override void Departed(RoundHost host, RoundHost to)
    {
        foreach (var notes in _notes.Where(notes => notes.Host == host.Name))
            notes.Departs();
        if (!File.Exists(host.Target + "-journal"))
        {
            File.Delete(to.Target + "-journal");
            return;
        }

        File.Copy(host.Target + "-journal", to.Target + "-journal", overwrite: true);
        File.Delete(host.Target + "-journal");
    }

    /// <inheritdoc/>
    public override async Task CheckAsync(string file)
    {
        string at = Path.Combine(directory, "check");
        string[] committed = Committed();

        // A store that is looked at without its mount: what a killed program left to be rolled back lies beside the mounted file.
        string journal = Path.Combine(Path.GetDirectoryName(file)!, "target-journal");
        if (File.Exists(journal) && Path.GetFileName(file) != "target")
            File.Move(journal, file + "-journal", overwrite: true);
        WriteCheck(at, committed);
        await using var sqlite = await PeerProcess.RunAsync("sqlite3", ["-batch", "-bail", file], input: await File.ReadAllTextAsync(at + ".sql"));
        if (sqlite.ExitCode != 0 || sqlite.Output.TrimEnd('\n').Replace('\n', ' ') != Expected)
            throw new RoundFailedException($"the database is not what was committed; expected '{Expected}':\n{sqlite.Report}");
        _committed.Clear();
        _committed.AddRange(committed);
        _notes.Clear();
        foreach (string old in Directory.GetFiles(directory))
            File.Delete(old);
    }

    private static string Expected => $"ok {Total} 0";

    /// <summary>The numbers of all that was committed for certain.</summary>
    private string[] Committed()
    {
        foreach (var notes in _notes)
            notes.Judge();
        return [.. _committed, .. _notes.SelectMany(static notes => notes.Committed)];
    }

    private static void WriteCheck(string at, string[] committed)
    {
        File.WriteAllLines(at + ".committed", committed);
        File.WriteAllText(at + ".sql", $"""
            CREATE TEMP TABLE noted(id INTEGER PRIMARY KEY);
            .import {at}.committed noted
            PRAGMA integrity_check;
            SELECT sum(balance) FROM account;
            SELECT count(*) FROM noted WHERE id NOT IN (SELECT id FROM transfer);

            """);
    }

    private const string Transfers = """
        BEGIN {
          srand(first)
          for (i = first; ; i++) {
            payer = int(rand() * 200); payee = int(rand() * 200); sum = int(rand() * 50)
            printf "BEGIN IMMEDIATE; UPDATE account SET balance = balance - %d WHERE id = %d; ", sum, payer
            printf "INSERT INTO transfer VALUES(%d, %d, %d, %d, '%s', hex(randomblob(100))); ", i, payer, payee, sum, host
            printf "DELETE FROM transfer WHERE id < 0; UPDATE account SET balance = balance + %d WHERE id = %d; COMMIT; SELECT 'committed %d';\n", sum, payee, i
          }
        }
        """;

    private static string Script { get; } = """
        until [ -f "$1" ]; do sleep 0.01; done
        found=$(sqlite3 -batch -bail "$1" < "$2.sql" 2> "$2.check") || { echo "error" >> "$2.notes"; exit 1; }
        echo "found" $found >> "$2.notes"
        { echo "PRAGMA journal_mode = $5;"; awk -v first="$3" -v host="$4" -f "$2.awk"; } | stdbuf -oL sqlite3 -batch -bail "$1" >> "$2.notes" 2>> "$2.errors"

        """;
}
