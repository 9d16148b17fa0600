namespace MoeSharp;

/// <summary>Room for the panels of all experts, of which each is packed when a pass first needs it. Passes of many threads may share it.</summary>
/// <remarks>Memory that no pass has touched is none: experts that nobody chooses cost nothing.</remarks>
internal sealed unsafe class PanelStore : IDisposable
{
    private const int Empty = 0, Packing = 1, Packed = 2;

    private readonly ExpertPanels _panels;
    private readonly int[] _states;
    private readonly UseCount _uses;

    /// <summary>Allocates the room.</summary>
    /// <exception cref="InsufficientMemoryException">There is none.</exception>
    public PanelStore(ExpertShape shape, int experts)
    {
        _panels = new ExpertPanels(shape, experts, hasBias: false);
        _uses = new UseCount(_panels.Dispose);
        _states = new int[(long)experts * (shape.UpPanels + shape.DownPanels)];
    }

    /// <summary>The panels of matrices, which must be those that the store began with.</summary>
    public PanelSource Of(ExpertMatrices matrices) => new Source(this, matrices);

    /// <summary>Begins a pass; false once disposed of.</summary>
    public bool TryEnter() => _uses.TryEnter();

    /// <summary>Ends a pass.</summary>
    public void Leave() => _uses.Leave();

    /// <summary>Frees the room once the passes in it have ended, without waiting for them.</summary>
    public void Dispose() => _uses.Close();

    private sealed class Source(PanelStore store, ExpertMatrices matrices) : PanelSource(matrices.Shape)
    {
        private int Panels => Shape.UpPanels + Shape.DownPanels;

        public override byte* Up(int expert, int panel, byte* scratch, out PanelPlace place)
        {
            ref int state = ref UpState(expert, panel);
            byte* to = Begin(ref state, store._panels.Up(expert, panel), scratch, out place);
            if (place == PanelPlace.Memory) return to;

            matrices.PackUp(expert, panel, to);
            End(ref state, to, scratch);
            return to;
        }

        public override byte* Down(int expert, int panel, byte* scratch, out PanelPlace place)
        {
            ref int state = ref DownState(expert, panel);
            byte* to = Begin(ref state, store._panels.Down(expert, panel), scratch, out place);
            if (place == PanelPlace.Memory) return to;

            matrices.PackDown(expert, panel, to);
            End(ref state, to, scratch);
            return to;
        }

        public override NextPanel NextUp(int expert, int panel) =>
            Volatile.Read(ref UpState(expert, panel)) == Packed ? store._panels.NextUp(expert, panel) : matrices.NextUp(expert, panel);

        public override NextPanel NextDown(int expert, int panel) =>
            Volatile.Read(ref DownState(expert, panel)) == Packed ? store._panels.NextDown(expert, panel) : matrices.NextDown(expert, panel);

        public override float* UpBias(int expert, int panel) => matrices.UpBias(expert, panel);

        public override float* DownBias(int expert, int panel) => matrices.DownBias(expert, panel);

        private ref int UpState(int expert, int panel) => ref store._states[expert * Panels + panel];

        private ref int DownState(int expert, int panel) => ref UpState(expert, Shape.UpPanels + panel);

        // where to find the panel or to pack it; what another pass is packing is packed into the scratch too, rather than waited for
        private static byte* Begin(ref int state, byte* stored, byte* scratch, out PanelPlace place)
        {
            place = Volatile.Read(ref state) == Packed ? PanelPlace.Memory : PanelPlace.Cache;
            return place == PanelPlace.Memory || Interlocked.CompareExchange(ref state, Packing, Empty) == Empty ? stored : scratch;
        }

        private static void End(ref int state, byte* to, byte* scratch)
        {
            if (to != scratch) Volatile.Write(ref state, Packed);
        }
    }
}
