using Farspan.Chunks;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Chunks;

/// <summary>Any life of a few chunks, against flags for each of their bytes.</summary>
public sealed class ChunkMapPropertyTests
{
    private const int Chunk = 4096;
    private const int Unit = 256;
    private const int Units = Chunk / Unit;
    private static readonly ChunkLayout Layout = new((2 * Chunk) + (3 * Unit), Chunk);

    [Fact(Timeout = 60_000)]
    public Task AnyLife_MatchesFlagsOfBytes()
    {
        var step = from kind in Gen.Choose(0, 9)
                   from chunk in Gen.Choose(0, 2)
                   from start in Gen.Choose(0, Units - 1)
                   from end in Gen.Choose(0, Units)
                   select (kind, chunk, start, end);
        Prop.ForAll(step.ListOf().ToArbitrary(), steps =>
        {
            var life = new Life();
            foreach (var (kind, chunk, start, end) in steps)
            {
                life.Take(kind, chunk, start, end);
                life.Check();
            }
        }).QuickCheckThrowOnFailure();
        return Task.CompletedTask;
    }

    private sealed class Life
    {
        private readonly ChunkMap _map = new(Layout);
        private readonly State[] _states = [new State(Units), new State(Units), new State(3)];
        private long _write;
        private long _push;

        public void Take(int kind, int chunk, int start, int end)
        {
            var state = _states[chunk];
            start = Math.Min(start, state.Units - 1);
            end = Math.Min(end, state.Units);
            switch (kind)
            {
                case 0 or 1 or 2 when start < end:
                    Write(chunk, state, start, end);
                    break;
                case 3 when !state.IsWhole && !state.IsZero:
                    _map.SetWhole(chunk);
                    state.IsWhole = true;
                    break;
                case 4 when state.Push is null && state.Dirty.Contains(true):
                    var detail = _map.Find(chunk)!;
                    detail.IsSending = true;
                    state.Push = (detail, _map.StartSending(detail));
                    state.Sending = state.Dirty;
                    state.Dirty = new bool[state.Units];
                    break;
                case 5 or 6 when state.Push is { } push:
                    state.Push = null;
                    if (kind == 5)
                        _map.EndSending(push.Detail, push.From, ++_push);
                    else
                        _map.UndoSending(push.Detail, push.From);
                    Mark(kind == 5 ? state.Unflushed : state.Dirty, state.Sending);
                    state.Sending = new bool[state.Units];
                    break;
                case 7 when start % 2 == 0:
                    while (_map.ByPush.First is { } first)
                        _map.EndUnflushed(first.Value);
                    foreach (var each in _states)
                        each.Unflushed = new bool[each.Units];
                    break;
                case 7:
                    _map.UndoUnflushed();
                    foreach (var each in _states)
                    {
                        Mark(each.Dirty, each.Unflushed);
                        each.Unflushed = new bool[each.Units];
                    }

                    break;
                case 8:
                    _map.SetZero(chunk, 1);
                    _map.Zeroes.Add(chunk, 1, ZeroKind.Zero, ++_write);
                    state.SetZero();
                    break;
                case 9 when !state.IsZero && state.Push is null && (_map.Find(chunk)?.IsClean ?? true):
                    _map.SetMissing(chunk);
                    state.IsWhole = false;
                    state.Here = new bool[state.Units];
                    break;
            }
        }

        public void Check()
        {
            long dirtyBytes = 0;
            for (int chunk = 0; chunk < _states.Length; chunk++)
            {
                var state = _states[chunk];
                int weight = 0;
                for (int unit = 0; unit < state.Units; unit++)
                {
                    long offset = (chunk * Chunk) + (unit * Unit);
                    var expected = state.IsZero ? ChunkPresence.Zero : state.IsWhole || state.Here[unit] ? ChunkPresence.Here : ChunkPresence.Missing;
                    Assert.Equal(expected, _map.Look(offset, Unit, out long run));
                    Assert.Equal(Unit, run);
                    bool isDirty = state.Dirty[unit] || state.Sending[unit] || state.Unflushed[unit];
                    Assert.Equal(isDirty || state.IsZero, _map.LookDirty(offset, Unit, out run));
                    Assert.Equal(Unit, run);
                    weight += Unit * ((state.Dirty[unit] ? 1 : 0) + (state.Sending[unit] ? 1 : 0) + (state.Unflushed[unit] ? 1 : 0));
                }

                dirtyBytes += Math.Min(Layout.LengthOf(chunk), weight);
            }

            Assert.Equal(dirtyBytes, _map.DirtyBytes);
            Assert.Equal(_states.Count(state => state.IsWhole), _map.WholeCount);
            Assert.Equal(_states.Count(state => state.IsZero), _map.ZeroCount);
            Assert.Equal(_states.Count(state => !state.IsWhole && state.Here.Contains(true)), _map.PartialCount);
            AssertQueue(_map.ByAge, state => state.Dirty);
            AssertQueue(_map.ByWrite, state => state.Dirty);
            AssertQueue(_map.ByPush, state => state.Unflushed);
            Assert.Equal(_map.ByAge.Select(detail => detail.DirtyFrom).Order(), _map.ByAge.Select(detail => detail.DirtyFrom));
        }

        private void AssertQueue(LinkedList<ChunkDetail> queue, Func<State, bool[]> flags)
            => Assert.Equal(
                Enumerable.Range(0, _states.Length).Where(chunk => flags(_states[chunk]).Contains(true)).Select(chunk => (long)chunk),
                queue.Select(detail => detail.Index).Order());

        private void Write(int chunk, State state, int start, int end)
        {
            if (state.IsZero)
            {
                // None of these zeroes was ever told to the remote.
                Assert.NotNull(_map.EndZero(chunk));
                (state.IsZero, state.IsWhole, start, end) = (false, true, 0, state.Units);
            }

            bool wasWhole = state.IsWhole;
            state.Here.AsSpan(start, end - start).Fill(true);
            state.Dirty.AsSpan(start, end - start).Fill(true);
            state.IsWhole |= !state.Here.Contains(false);
            Assert.Equal(state.IsWhole && !wasWhole, _map.SetDirty(chunk, start * Unit, end * Unit, ++_write, now: 0));
        }

        private static void Mark(bool[] flags, bool[] more)
        {
            for (int unit = 0; unit < flags.Length; unit++)
                flags[unit] |= more[unit];
        }
    }

    private sealed class State(int units)
    {
        public int Units { get; } = units;

        public bool IsWhole { get; set; }

        public bool IsZero { get; set; }

        public bool[] Here { get; set; } = new bool[units];

        public bool[] Dirty { get; set; } = new bool[units];

        public bool[] Sending { get; set; } = new bool[units];

        public bool[] Unflushed { get; set; } = new bool[units];

        public (ChunkDetail Detail, long From)? Push { get; set; }

        public void SetZero()
        {
            (IsZero, IsWhole) = (true, false);
            Here = new bool[Units];
            Dirty = new bool[Units];
            Sending = new bool[Units];
            Unflushed = new bool[Units];
        }
    }
}
