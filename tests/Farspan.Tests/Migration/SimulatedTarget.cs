using System.Security.Cryptography;
using Farspan.Backends;
using Farspan.Migration;
using Farspan.TestKit.Simulation;

namespace Farspan.Tests.Migration;

/// <summary>
/// One life of the host that the region goes to: it goes by <see cref="LeecherRules"/>, with several calls under way at once, whose replies come when
/// they come. Its copy is durable when it is flushed.
/// </summary>
internal sealed class SimulatedTarget(SimulatedMigration world, ISeeder seeder) : ISimulatedTarget
{
    private RegionRecordFile? _kept;
    private readonly SimulatedProcess _process = new();
    private CopiedChunk[] _copy = [.. Enumerable.Repeat(new CopiedChunk(new byte[SimulatedMigration.ChunkSize], 0), SimulatedMigration.ChunkCount)];
    private CopiedChunk[] _durable = [];
    private LeecherState _state;
    private bool _isRunning;
    private int _calls;
    private int _moves;

    /// <summary>Whether the program may write at any moment.</summary>
    public bool IsRunning => _isRunning && !_process.IsDead;

    /// <summary>Whether the region has moved here, or never will.</summary>
    public bool IsDone => HasMoved || _moves > 3;

    /// <summary>Whether all of it is here, and the source has let go.</summary>
    public bool HasMoved => !_process.IsDead && _state is { Work: LeecherWork.None, Record.Role: RegionRole.Owner } && _state.Record.Token == Guid.Empty;

    public bool KeepsOnlyWhatWasFlushed => true;

    public Task<byte[]> ReadAllAsync() => Task.FromResult<byte[]>([.. _copy.SelectMany(chunk => chunk.Bytes)]);

    public void Kill()
    {
        _process.Kill();
        _copy = [.. _durable];
    }

    public ISimulatedTarget Next() => new SimulatedTarget(world, seeder) { _copy = _copy, _moves = _moves };

    public async Task StartAsync()
    {
        _durable = [.. _copy];
        _kept = new RegionRecordFile(world.TargetDisk.Open());
        _state = LeecherRules.Start(await _kept.ReadAsync(), world.NextNumber());
        if (_state.MayRun)
            Run();
        _ = LiveAsync();
    }

    private void Run()
    {
        world.TakeOver();
        _isRunning = true;
    }

    private async Task LiveAsync()
    {
        try
        {
            while (!_process.IsDead && !IsDone)
            {
                if (_state.Work == LeecherWork.None)
                    await StepAsync();
                else
                    await WorkAsync();
                await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(1, 40)), _process.Bind(world.Clock));
            }
        }
        catch (SimulatedCrashException)
        {
            // The host went down within a call of its disk.
        }
    }

    private async Task WorkAsync()
    {
        var doing = _state;
        if (doing.Work is not (LeecherWork.Resuming or LeecherWork.Flushing))
            await _kept!.WriteAsync(doing.Next);
        if (_process.IsDead)
            return;
        if (doing.Work == LeecherWork.Flushing)
            Flush();
        _state = LeecherRules.Complete(_state, succeeded: true);
        if (doing.Work == LeecherWork.Resuming)
            Run();
        if (doing.Work == LeecherWork.Forgetting)
            _moves++;
    }

    private async Task StepAsync()
    {
        int unproven = Array.FindIndex(_copy, chunk => chunk.State == 0);
        switch (_state.Record.Role)
        {
            case RegionRole.None:
                Apply(LeecherRules.Begin(_state, world.NextName()), []);
                break;
            case RegionRole.Following when _state.Session == 0:
                await StartAsync(SeederCall.Track);
                break;
            case RegionRole.Following:
                await FollowAsync(unproven);
                break;
            case RegionRole.Receiving when unproven < 0:
                _state = LeecherRules.Settle(_state);
                break;
            case RegionRole.Receiving:
                Use();
                await StartAsync(SeederCall.Read, unproven);
                break;
            case RegionRole.Owner:
                await StartAsync(SeederCall.Close);
                break;
            default:
                await StartAsync(SeederCall.GiveUp);
                break;
        }
    }

    private async Task FollowAsync(int unproven)
    {
        int choice = world.Random.Next(world.IsCalm ? 12 : 60);
        if (choice == 59 && _moves < 3)
            _state = LeecherRules.GiveUp(_state);
        else if (unproven >= 0 && choice != 0)
            await StartAsync(SeederCall.Read, unproven);
        else
            await StartAsync(choice % 2 == 0 ? SeederCall.Finalize : SeederCall.Round);
    }

    // Some calls are waited for; of the others the replies come later, when much may have changed.
    private async Task StartAsync(SeederCall call, int chunk = -1)
    {
        if (LeecherRules.Ask(_state, call) is not { } request || _calls >= 4)
            return;
        var asked = CallAsync(request, chunk);
        if (world.Random.Next(3) != 0)
            await Task.WhenAny(asked, Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(4000)), _process.Bind(world.Clock)));
    }

    private async Task CallAsync(SeederRequest request, int chunk)
    {
        _calls++;
        try
        {
            if (request.Call == SeederCall.Read)
                await FetchAsync(request, chunk);
            else
                await AskAsync(request);
        }
        catch (BackendException)
        {
            // It is asked again.
        }
        finally
        {
            _calls--;
        }
    }

    private async Task AskAsync(SeederRequest request)
    {
        var reply = await seeder.AskAsync(request);
        var changed = new List<int>();
        if (reply.Answer == SeederAnswer.Round || reply is { Answer: SeederAnswer.Yours, IsExact: true })
        {
            for (long next = 0; next >= 0;)
            {
                if (await seeder.ListAsync(request, next, limit: 2) is not { } page)
                    return;
                changed.AddRange(page.Runs.SelectMany(run => Enumerable.Range((int)run.FirstChunk, (int)run.Count)));
                next = page.NextChunk;
            }
        }

        if (!_process.IsDead)
            Apply(LeecherRules.Receive(_state, request, reply), changed);
    }

    private async Task FetchAsync(SeederRequest request, int chunk)
    {
        var had = _copy[chunk];
        byte[] digest = new byte[32];
        if (had.State == 0 && world.Random.Next(2) == 0 && await seeder.DigestAsync(request, chunk, digest) && SHA256.HashData(had.Bytes).AsSpan().SequenceEqual(digest))
            Store(request, chunk, had.Bytes);
        byte[] bytes = new byte[SimulatedMigration.ChunkSize];
        if (await seeder.ReadAsync(request, (long)chunk * SimulatedMigration.ChunkSize, bytes))
            Store(request, chunk, bytes);
    }

    private void Store(SeederRequest request, int chunk, byte[] bytes)
    {
        if (_process.IsDead || !LeecherRules.MayStore(_state, request) || _copy[chunk].State == 2)
            return;
        _copy[chunk] = new CopiedChunk(bytes, _state.Record.Role == RegionRole.Receiving ? 2 : 1);

        // Of a copy that is not the region's yet a crash may leave anything; it leaves all here, unproven.
        if (_state.Record.Role == RegionRole.Following)
            _durable[chunk] = new CopiedChunk(bytes, 0);
    }

    private void Apply(LeecherStep step, List<int> changed)
    {
        bool isAccepted = step.State.Work == LeecherWork.Accepting && _state.Work != LeecherWork.Accepting;
        for (int i = 0; i < _copy.Length; i++)
        {
            if (step.Copy == CopyChange.AllUnproven || (step.Copy == CopyChange.ListedUnproven && changed.Contains(i)))
                _copy[i] = _copy[i] with { State = 0 };
            else if (isAccepted && _copy[i].State == 1)
                _copy[i] = _copy[i] with { State = 2 };
        }

        _state = step.State;
    }

    private void Use()
    {
        int chunk = world.Random.Next(SimulatedMigration.ChunkCount);
        if (!IsRunning)
            return;
        if (_copy[chunk].State == 2)
            world.CheckRead(chunk, _copy[chunk].Bytes);
        if (world.Random.Next(3) == 0)
        {
            byte[] bytes = world.BeginWrite(chunk, isSource: false);
            _copy[chunk] = new CopiedChunk(bytes, 2);
            world.EndWrite(chunk, bytes);
        }

        if (world.Random.Next(5) == 0)
            Flush();
    }

    private void Flush()
    {
        var covered = world.BeginFlush();
        for (int i = 0; i < _copy.Length; i++)
        {
            if (_copy[i].State == 2)
                _durable[i] = _copy[i];
        }

        world.EndFlush(covered);
    }
}
