using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>Two hosts, what is on its way between them, and what is true.</summary>
internal sealed class ModelWorld
{
    public ModelHost[] Hosts = new ModelHost[2];
    public ModelNote[] Notes = [];

    /// <summary>The region that counts; a take back by force begins another one.</summary>
    public Guid Main = Name(1);

    /// <summary>The last value that was acknowledged to the application, and the last that was flushed.</summary>
    public byte Truth;
    public byte Flushed;

    public byte LastValue;
    public byte Faults;
    public byte Moves;
    public byte Forced;

    public ModelStore Store;

    public bool HasLost => Hosts[0].IsReplaced || Hosts[1].IsReplaced;

    public static ModelWorld Begin(bool hasStore)
    {
        var world = new ModelWorld
        {
            Truth = 1, Flushed = 1, LastValue = 1, Store = new ModelStore { Exists = hasStore, Value = 1, Holder = ModelStore.Nobody },
        };
        world.Hosts[0] = new ModelHost
        {
            Disk = RegionRecord.Begin(world.Main), Value = 1, DurableValue = 1, Kind = ModelKind.Valid, DurableKind = ModelKind.Valid,
        };
        world.Hosts[0].Start(RuleSet.True);
        world.Hosts[1].Start(RuleSet.True);
        world.Normalize(mindsOldNotes: true);
        return world;
    }

    public static Guid Name(int number) => new(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

    public static int NumberOf(Guid name)
    {
        Span<byte> bytes = stackalloc byte[16];
        name.TryWriteBytes(bytes);
        return bytes[0];
    }

    public ModelWorld Copy() => new()
    {
        Hosts = [Hosts[0], Hosts[1]], Notes = Notes, Main = Main, Truth = Truth, Flushed = Flushed, LastValue = LastValue, Faults = Faults, Moves = Moves,
        Forced = Forced, Store = Store,
    };

    /// <summary>Keeps a record; one of a region that is new makes that the one that counts.</summary>
    public void Keep(int host, RegionRecord record)
    {
        ref var at = ref Hosts[host];
        at.Disk = record;
        if (record.Role != RegionRole.Owner || NumberOf(record.Region) != 2)
            return;
        Main = record.Region;
        Truth = Flushed = at.DurableValue;
    }

    public void Send(ModelNote note)
    {
        if (!Notes.Contains(note))
            Notes = [.. Notes, note];
    }

    /// <summary>
    /// Gives numbers that only grow their least values: of sessions and generations only equality with the newest counts, of regions whether it is the one that counts.
    /// </summary>
    public void Normalize(bool mindsOldNotes)
    {
        for (int leecher = 0; leecher < 2; leecher++)
        {
            ref var seeder = ref Hosts[1 - leecher].Seeder;
            ref var asking = ref Hosts[leecher].Leecher;
            long newest = seeder.Session, generation = asking.Generation;
            asking = asking with { Session = Session(asking.Session, newest), Generation = 1 };
            ModelNote[]? notes = null;
            for (int i = 0; i < Notes.Length; i++)
            {
                var note = Notes[i];
                if (note.Leecher != leecher)
                    continue;
                var request = note.Request with
                {
                    Session = Session(note.Request.Session, newest), Generation = note.Request.Generation == generation ? 1 : 0,
                };
                var changed = note with { Request = request, Reply = note.Reply with { Session = Session(note.Reply.Session, newest) } };
                if (changed == note)
                    continue;
                notes ??= [.. Notes];
                notes[i] = changed;
            }

            Notes = notes ?? Notes;
            seeder = seeder with { Session = Session(seeder.Session, newest), LastSession = 2 };
        }

        if (Main != Name(1))
            RenameRegions();
        if (!mindsOldNotes && Array.Exists(Notes, IsOld))
            Notes = Array.FindAll(Notes, static note => !IsOld(note));
        if (Notes.Length > 1)
            Sort();
    }

    public ModelKey Key()
    {
        var key = new ModelKey();
        foreach (ref var host in Hosts.AsSpan())
        {
            key.Add(host.IsUp);
            key.Add(host.IsRunning);
            Add(ref key, host.Disk);
            Add(ref key, host.Seeder.Record);
            Add(ref key, host.Seeder.Next);
            Add(ref key, host.Leecher.Next);
            key.Add((int)host.Seeder.Work, 3);
            key.Add(NumberOf(host.Seeder.Token), 2);
            key.Add(host.Seeder.Session, 2);
            key.Add(host.Seeder.Round, 2);
            key.Add(host.Seeder.IsGivenUp);
            key.Add((int)host.Leecher.Work, 4);
            key.Add(host.Leecher.Session, 2);
            key.Add(host.Leecher.Round, 2);
            key.Add(host.Value, 3);
            key.Add((int)host.Kind, 2);
            key.Add(host.DurableValue, 3);
            key.Add((int)host.DurableKind, 2);
            key.Add(host.IsRecorded);
            key.Add(host.IsInRound);
            key.Add(host.IsSeeder);
            if (!Store.Exists)
                continue;
            key.Add(host.IsReplaced);
            host.Mirror.Add(ref key);
        }

        Store.Add(ref key);

        key.Add(Truth, 3);
        key.Add(Flushed, 3);
        key.Add(LastValue, 3);
        key.Add(Faults, 2);
        key.Add(Moves, 2);
        key.Add(Forced, 1);
        foreach (var note in Notes)
            key.Add(Order(note), 32);
        return key;
    }

    private static bool IsOld(ModelNote note)
        => note.Request.Generation == 0 && (note.IsReply || note.Request.Call == SeederCall.Read);

    private static long Session(long session, long newest) => session == 0 ? 0 : session == newest ? 2 : 1;

    private static void Add(ref ModelKey key, RegionRecord record)
    {
        key.Add((int)record.Role, 3);
        key.Add(NumberOf(record.Region), 2);
        key.Add(record.Epoch, 4);
        key.Add(NumberOf(record.Token), 2);
    }

    private static long Order(in ModelNote note)
    {
        // One bit above all keeps a message apart from none.
        long order = 1;
        Push(ref order, note.Leecher, 1);
        Push(ref order, note.IsReply ? 1 : 0, 1);
        Push(ref order, (int)note.Request.Call, 3);
        Push(ref order, NumberOf(note.Request.Token), 2);
        Push(ref order, note.Request.Session, 2);
        Push(ref order, note.Request.Round, 2);
        Push(ref order, note.Request.Generation, 1);
        Push(ref order, (int)note.Reply.Answer, 4);
        Push(ref order, NumberOf(note.Reply.Region), 2);
        Push(ref order, note.Reply.Epoch, 4);
        Push(ref order, note.Reply.Session, 2);
        Push(ref order, note.Reply.Round, 2);
        Push(ref order, note.Reply.IsExact ? 1 : 0, 1);
        Push(ref order, note.Value, 3);
        Push(ref order, note.IsListed ? 1 : 0, 1);
        return order;
    }

    private static void Push(ref long order, long value, int bits)
    {
        if (value < 0 || value >= 1L << bits)
            throw new InvalidOperationException($"{value} does not fit into {bits} bits.");
        order = (order << bits) | value;
    }

    // Two messages that became the same are one.
    private void Sort()
    {
        ModelNote[] notes = [.. Notes];
        Array.Sort(Array.ConvertAll(notes, static note => Order(note)), notes);
        int count = 1;
        for (int i = 1; i < notes.Length; i++)
        {
            if (notes[i] != notes[count - 1])
                notes[count++] = notes[i];
        }

        Notes = count == notes.Length ? notes : notes[..count];
    }

    private void RenameRegions()
    {
        Main = Name(1);
        Store.Key = Renamed(Store.Key);
        foreach (ref var host in Hosts.AsSpan())
        {
            host.Disk = Renamed(host.Disk);
            host.Seeder = host.Seeder with { Record = Renamed(host.Seeder.Record), Next = Renamed(host.Seeder.Next) };
            host.Leecher = host.Leecher with { Record = Renamed(host.Leecher.Record), Next = Renamed(host.Leecher.Next) };
        }

        Notes = [.. Notes.Select(note => note with { Reply = note.Reply with { Region = Renamed(note.Reply.Region) } })];
    }

    private static RegionRecord Renamed(RegionRecord record) => record with { Region = Renamed(record.Region) };

    private static Guid Renamed(Guid region) => NumberOf(region) switch
    {
        0 => Guid.Empty,
        2 => Name(1),
        _ => Name(3),
    };
}
