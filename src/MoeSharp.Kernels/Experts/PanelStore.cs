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

        public override byte* Up(int expert, int panel, byte* scratch, out PanelPlace place) => Panel(expert, panel, scratch, out place);

        public override byte* Down(int expert, int panel, byte* scratch, out PanelPlace place) => Panel(expert, Shape.UpPanels + panel, scratch, out place);

        public override bool HasUp(int expert, int panel, int count) => ArePacked(expert, panel, count);

        public override bool HasDown(int expert, int panel, int count) => ArePacked(expert, Shape.UpPanels + panel, count);

        public override NextPanel NextUp(int expert, int panel) =>
            IsPacked(expert, panel) ? store._panels.NextUp(expert, panel) : matrices.NextUp(expert, panel);

        public override NextPanel NextDown(int expert, int panel) =>
            IsPacked(expert, Shape.UpPanels + panel) ? store._panels.NextDown(expert, panel) : matrices.NextDown(expert, panel);

        public override float* UpBias(int expert, int panel) => matrices.UpBias(expert, panel);

        public override float* DownBias(int expert, int panel) => matrices.DownBias(expert, panel);

        // panels of an expert are numbered through, those of down after those of gate and up
        private byte* Panel(int expert, int number, byte* scratch, out PanelPlace place)
        {
            byte* stored = StoredAt(expert, number);
            place = IsPacked(expert, number) ? PanelPlace.Memory : PanelPlace.Cache;
            if (place == PanelPlace.Memory) return stored;

            // what another pass is packing is packed into the scratch too, rather than waited for
            ref int state = ref State(expert, number);
            if (Interlocked.CompareExchange(ref state, Packing, Empty) != Empty) return Pack(expert, number, scratch);

            Pack(expert, number, stored);
            Volatile.Write(ref state, Packed);
            return stored;
        }

        private byte* Pack(int expert, int number, byte* to)
        {
            if (number < Shape.UpPanels) matrices.PackUp(expert, number, to);
            else matrices.PackDown(expert, number - Shape.UpPanels, to);
            return to;
        }

        private byte* StoredAt(int expert, int number) =>
            number < Shape.UpPanels ? store._panels.Up(expert, number) : store._panels.Down(expert, number - Shape.UpPanels);

        private bool ArePacked(int expert, int number, int count)
        {
            for (int i = 0; i < count; i++)
            {
                if (!IsPacked(expert, number + i)) return false;
            }

            return true;
        }

        private bool IsPacked(int expert, int number) => Volatile.Read(ref State(expert, number)) == Packed;

        private ref int State(int expert, int number) => ref store._states[expert * Panels + number];
    }
}
