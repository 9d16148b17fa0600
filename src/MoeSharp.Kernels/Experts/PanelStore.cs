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
        _states = new int[(long)experts * shape.Panels];
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
        public override byte* Panel(int expert, int number, byte* scratch, out PanelPlace place)
        {
            byte* stored = store._panels.At(expert, number);
            place = IsPacked(expert, number) ? PanelPlace.Memory : PanelPlace.Cache;
            if (place == PanelPlace.Memory) return stored;

            // what another pass is packing is packed into the scratch too, rather than waited for
            ref int state = ref State(expert, number);
            if (Interlocked.CompareExchange(ref state, Packing, Empty) != Empty) return matrices.Panel(expert, number, scratch, out place);

            matrices.Pack(expert, number, stored);
            Volatile.Write(ref state, Packed);
            return stored;
        }

        public override NextPanel Next(int expert, int number) => IsPacked(expert, number) ? store._panels.Next(expert, number) : matrices.Next(expert, number);

        public override float* Bias(int expert, int number) => matrices.Bias(expert, number);

        public override bool HasPanels(int expert, int number, int count)
        {
            for (int i = 0; i < count; i++)
            {
                if (!IsPacked(expert, number + i)) return false;
            }

            return true;
        }

        private bool IsPacked(int expert, int number) => Volatile.Read(ref State(expert, number)) == Packed;

        private ref int State(int expert, int number) => ref store._states[expert * Shape.Panels + number];
    }
}
