using Farspan.Backends;
using Farspan.Migration;
using Farspan.Wire.Client;
using Xunit;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>A leecher that does what a test says, and keeps the region in memory.</summary>
internal sealed class TestLeecher : IAsyncDisposable
{
    private readonly FarspanSeeder _seeder;
    private SeederRequest _request;

    private TestLeecher(FarspanSeeder seeder, Guid token)
    {
        _seeder = seeder;
        Token = token;
        Bytes = new byte[seeder.Description.Length];
    }

    /// <summary>The name of the move.</summary>
    public Guid Token { get; private set; }

    /// <summary>Bytes of a chunk, by which changes are told.</summary>
    public int ChunkSize => _seeder.Description.ChunkSize;

    /// <summary>The region, as far as it was copied.</summary>
    public byte[] Bytes { get; }

    public static async Task<TestLeecher> ConnectAsync(string uri, Guid? token = null)
        => new(await FarspanSeeder.OpenAsync(BackendUri.Parse(uri), new BackendOpenOptions()), token ?? Guid.NewGuid());

    public async Task TrackAsync(Guid? token = null)
    {
        Token = token ?? Token;
        var reply = await _seeder.AskAsync(new SeederRequest(SeederCall.Track, Token));
        Assert.Equal(SeederAnswer.Tracking, reply.Answer);
        _request = new SeederRequest(SeederCall.Finalize, Token, reply.Session);
    }

    /// <summary>Goes on with a move that was handed over.</summary>
    public async Task TakeUpAsync()
    {
        Assert.Equal(SeederAnswer.Yours, (await _seeder.AskAsync(new SeederRequest(SeederCall.Track, Token))).Answer);
        _request = new SeederRequest(SeederCall.Finalize, Token);
    }

    /// <summary>Takes the next round, and says which chunks it lists.</summary>
    public async Task<IReadOnlyList<ChangedRun>> RoundAsync()
    {
        _request = _request with { Round = _request.Round + 1 };
        Assert.Equal(SeederAnswer.Round, (await _seeder.AskAsync(_request with { Call = SeederCall.Round })).Answer);
        return await ListAsync(_request with { Call = SeederCall.Round });
    }

    /// <summary>Which chunks the hand-over listed.</summary>
    public Task<IReadOnlyList<ChangedRun>> LastListAsync() => ListAsync(_request);

    public async Task<bool> TryFinalizeAsync() => (await _seeder.AskAsync(_request)).Answer == SeederAnswer.Yours;

    public async Task FinalizeAsync() => Assert.True(await TryFinalizeAsync());

    public Task CopyAllAsync() => CopyAsync(0, Bytes.Length);

    /// <summary>Copies what the last list has.</summary>
    public async Task CopyChangedAsync()
    {
        for (long next = 0; next >= 0;)
        {
            var page = await _seeder.ListAsync(_request, next, 1000);
            Assert.NotNull(page);
            foreach (var run in page.Runs)
            {
                long offset = run.FirstChunk * _seeder.Description.ChunkSize;
                await CopyAsync(offset, Math.Min(run.Count * _seeder.Description.ChunkSize, Bytes.Length - offset));
            }

            next = page.NextChunk;
        }
    }

    public async Task CloseAsync() => Assert.Equal(SeederAnswer.Released, (await _seeder.AskAsync(_request with { Call = SeederCall.Close })).Answer);

    public async Task GiveUpAsync() => Assert.Equal(SeederAnswer.GivenUp, (await _seeder.AskAsync(_request with { Call = SeederCall.GiveUp })).Answer);

    public ValueTask DisposeAsync() => _seeder.DisposeAsync();

    private async Task<IReadOnlyList<ChangedRun>> ListAsync(SeederRequest request)
    {
        var page = await _seeder.ListAsync(request, 0, 1000);
        Assert.Equal(-1, page?.NextChunk);
        return page!.Runs;
    }

    private async Task CopyAsync(long offset, long length)
        => Assert.True(await _seeder.ReadAsync(_request with { Call = SeederCall.Read }, offset, Bytes.AsMemory((int)offset, (int)length)));
}
