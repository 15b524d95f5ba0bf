using Farspan.Migration;
using Xunit;

namespace Farspan.Tests.Migration;

public sealed class AwaitedSeederTests
{
    // The rules know the answers: they are those of a host that has let go.
    [Fact]
    public async Task AsLongAsThereIsNobody_ItAnswersWhatOneDoesThatHasLetGo()
    {
        var awaited = new AwaitedSeeder(new SeederDescription(1 << 20, 4096));
        var letGo = SeederRules.Start(new RegionRecord(RegionRole.Released, Guid.NewGuid(), 2, Guid.NewGuid()), lastSession: 1);
        var request = new SeederRequest(SeederCall.Track, Guid.NewGuid(), Session: 5, Round: 1);
        foreach (var call in Enum.GetValues<SeederCall>().Where(static call => call != SeederCall.Read))
        {
            request = request with { Call = call };
            Assert.Equal(SeederRules.Answer(letGo, request).Reply.Answer, (await awaited.AskAsync(request)).Answer);
        }

        Assert.False(await awaited.ReadAsync(request, 0, new byte[10]));
        Assert.False(await awaited.DigestAsync(request, 0, new byte[32]));
        Assert.Null(await awaited.ListAsync(request, 0, 10));
    }
}
