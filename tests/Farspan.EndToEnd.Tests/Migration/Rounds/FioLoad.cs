using System.Globalization;
using System.Text;
using Farspan.TestKit;
using Farspan.TestKit.Peers;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>
/// fio, run after run: each writes all blocks of a zone in random order with a pattern of the run's number and the block's place, and makes them durable. A fresh fio verifies every zone
/// whose last run has ended before the first write on a host, and at the end. It is the pattern that proves which run a block is of: a header's checksum fits any run's.
/// </summary>
/// <param name="directory">Keeps the notes.</param>
/// <param name="length">Bytes of the region.</param>
internal sealed class FioLoad(string directory, long length) : RoundLoad
{
    private const int ZoneCount = 4;
    private const int RunsPerStart = 1000;

    private readonly long _zoneLength = length / ZoneCount;
    private readonly long?[] _zones = new long?[ZoneCount];
    private readonly List<FioNotes> _notes = [];
    private long _acknowledged;
    private long _run;

    /// <inheritdoc/>
    public override long Acknowledged => _acknowledged + _notes.Sum(static notes => notes.Lines.Count(static line => line.StartsWith("done", StringComparison.Ordinal)));

    /// <inheritdoc/>
    public override async Task MakeAsync(string store)
    {
        byte[] bytes = new byte[length];
        new Random(3).NextBytes(bytes);
        await File.WriteAllBytesAsync(store, bytes);
    }

    /// <inheritdoc/>
    public override ProcessGroup Start(RoundHost host, long epoch)
    {
        // What one that is left at the other host may still begin has numbers of its own.
        var zones = Zones();
        _run += RunsPerStart;
        string at = Path.Combine(directory, _run.ToString(CultureInfo.InvariantCulture));
        File.WriteAllText(at + ".sh", Script);
        File.WriteAllText(at + ".job", Job(host.Target, zones));
        _notes.Add(new FioNotes(at + ".notes", host.Name));
        return ProcessGroup.Start("sh", at + ".sh", host.Target, at + ".notes", at + ".job", $"{_run}", $"{_zoneLength}", _notes.Count % 2 == 0 ? "libaio --direct=1 --iodepth=8" : "psync");
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
    }

    /// <inheritdoc/>
    public override async Task CheckAsync(string file)
    {
        var zones = Zones();
        string job = Path.Combine(directory, "check.job");
        await File.WriteAllTextAsync(job, Job(file, zones));
        if (zones.Any(static zone => zone is not null))
        {
            await using var fio = await PeerProcess.RunAsync("fio", [job], workingDirectory: directory);
            if (fio.ExitCode != 0)
                throw new RoundFailedException($"fio does not find what was written:\n{fio.Report}");
        }

        zones.CopyTo(_zones, 0);
        _acknowledged = Acknowledged;
        _notes.Clear();
        foreach (string old in Directory.GetFiles(directory))
            File.Delete(old);
    }

    /// <summary>The run that each zone is of; null where one has begun there and has not ended.</summary>
    private long?[] Zones()
    {
        var zones = (long?[])_zones.Clone();
        foreach (var notes in _notes)
            notes.Apply(zones);
        return zones;
    }

    private string Job(string file, long?[] zones)
    {
        var job = new StringBuilder();
        for (int zone = 0; zone < ZoneCount; zone++)
        {
            if (zones[zone] is { } run)
            {
                job.Append(CultureInfo.InvariantCulture, $"[zone{zone}]\nfilename={file}\nrw=randwrite\nbs=4k\noffset={zone * _zoneLength}\nsize={_zoneLength}\nthread\nioengine=psync\nallow_file_create=0\n");
                job.Append(CultureInfo.InvariantCulture, $"verify=pattern\nverify_pattern=0x{run:x16}%o\nverify_only=1\nverify_fatal=1\nverify_state_save=0\n");
            }
        }

        return job.ToString();
    }

    private static string Script { get; } =
        $$"""
        cd "$(dirname "$2")"
        until [ -f "$1" ]; do sleep 0.01; done
        if [ -s "$3" ]; then
          fio --output="$3.out" "$3" 2>> "$3.out" || { echo "bad $3.out" >> "$2"; exit 1; }
          echo "verified" >> "$2"
        fi
        n=$4
        while :; do
          zone=$((n % {{ZoneCount}}))
          echo "begun $n $zone" >> "$2"
          fio --name=w --filename="$1" --rw=randwrite --bs=4k --offset=$((zone * $5)) --size=$5 --thread --ioengine=$6 --allow_file_create=0 --fsync=64 --end_fsync=1 \
            --verify=pattern --verify_pattern=0x$(printf %016x $n)%o --do_verify=0 --verify_state_save=0 > "$2.fio" 2>&1 || { echo "failed $n" >> "$2"; exit 1; }
          echo "done $n $zone" >> "$2"
          n=$((n + 1))
        done

        """;
}
