using Farspan.Transports;
using Farspan.Waiting;
using Xunit;

namespace Farspan.Tests.Transports;

public sealed class InputSpinTests
{
    /// <summary>So many that threads which look elsewhere meanwhile do not matter.</summary>
    private const int Plenty = 1 << 20;

    [Fact]
    public void InVain_ItGivesUp_AndTriesNowAndThen()
    {
        using var line = new CountingLine();
        var spin = new InputSpin(line, Plenty);
        for (int i = 0; i < SpinBudget.MostMisses; i++)
            spin.Run();
        Assert.Equal(SpinBudget.MostMisses * SpinBudget.MostLooks, line.Looks);
        for (int round = 1; round < 4; round++)
        {
            for (int i = 1; i < SpinBudget.WaitsBetweenTries; i++)
                spin.Run();
            Assert.Equal((SpinBudget.MostMisses + round - 1) * SpinBudget.MostLooks, line.Looks);
            spin.Run();
            Assert.Equal((SpinBudget.MostMisses + round) * SpinBudget.MostLooks, line.Looks);
        }
    }

    [Fact]
    public void Input_EndsTheLook_AndTheMissesBefore()
    {
        using var line = new CountingLine { InputAtLook = SpinBudget.MostLooks * (SpinBudget.MostMisses - 1) + 5 };
        var spin = new InputSpin(line, Plenty);
        for (int i = 0; i < SpinBudget.MostMisses; i++)
            spin.Run();
        Assert.Equal(line.InputAtLook, line.Looks);
        line.InputAtLook = 0;
        for (int i = 0; i < SpinBudget.MostMisses; i++)
            spin.Run();
        Assert.Equal((SpinBudget.MostLooks * ((2 * SpinBudget.MostMisses) - 1)) + 5, line.Looks);
    }

    [Fact]
    public void OnOneProcessor_ItNeverLooks()
    {
        using var line = new CountingLine();
        new InputSpin(line, processors: 1).Run();
        Assert.Equal(0, line.Looks);
    }

    private sealed class CountingLine : ByteChannel
    {
        public int Looks { get; private set; }

        public int InputAtLook { get; set; }

        public override bool IsProtected => true;

        public override bool KnowsInput => true;

        public override bool HasInput() => ++Looks == InputAtLook;

        public override int Receive(Span<byte> buffer) => 0;

        public override void WaitForInput()
        {
        }

        public override void Send(ReadOnlySpan<byte> bytes)
        {
        }

        public override int SendRoom(int wanted) => 0;

        public override Stream AsStream() => throw new NotSupportedException();

        public override void FinishSending()
        {
        }

        public override void Abort()
        {
        }

        public override void Dispose()
        {
        }
    }
}
