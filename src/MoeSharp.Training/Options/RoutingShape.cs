namespace MoeSharp.Training;

/// <summary>How the MoE layers of a trained model route: the selection and its options, as <c>moesharp train --router</c> takes them.</summary>
public sealed record RoutingShape
{
    /// <summary>How experts are selected; default the top-k of the scores.</summary>
    public RouterSelection Select { get; init; }

    /// <summary>The function from logits to scores; default softmax.</summary>
    public ScoreFunction Score { get; init; }

    /// <summary>The number of expert groups of which a token keeps <see cref="KeepGroups"/>; 0, the default, for no groups.</summary>
    public int Groups { get; init; }

    /// <summary>The groups that a token keeps; 0 with no groups.</summary>
    public int KeepGroups { get; init; }

    /// <summary>The capacity factor of experts; 0, the default, drops nothing. Expert choice takes its number of tokens from it, 1 when it is 0.</summary>
    public double CapacityFactor { get; init; }

    /// <summary>The tokens that share a capacity.</summary>
    public CapacityScope CapacityScope { get; init; }

    /// <summary>What an overfull expert drops.</summary>
    public DropRule Drop { get; init; }

    /// <summary>The order in which tokens take slots.</summary>
    public CapacityOrder CapacityOrder { get; init; }

    /// <summary>The jitter of what the router reads; see <see cref="RouterOptions.InputJitter"/>.</summary>
    public double InputJitter { get; init; }

    /// <summary>The jitter of the logits; see <see cref="RouterOptions.LogitJitter"/>.</summary>
    public double LogitJitter { get; init; }

    /// <summary>The tokens that the load-balance loss is taken over; default a micro-batch.</summary>
    public BalanceScope BalanceScope { get; init; } = BalanceScope.Batch;

    /// <summary>The scores that the load-balance loss averages.</summary>
    public BalanceScores BalanceScores { get; init; }

    /// <summary>How the correction bias follows the load, with <see cref="BalanceMode.Bias"/>.</summary>
    public BiasRule BiasRule { get; init; }

    /// <summary>The options of a layer with this routing.</summary>
    internal MoeOptions Apply(MoeOptions layer, int vocabularySize, int seed)
    {
        bool isSparseMixer = Select == RouterSelection.SparseMixer;
        double factor = CapacityFactor == 0 && Select == RouterSelection.ExpertChoice ? 1 : CapacityFactor;
        return layer with
        {
            Router = layer.Router with
            {
                Select = Selection(vocabularySize),
                Score = Score,
                Seed = seed,
                InputJitter = InputJitter,
                LogitJitter = LogitJitter,
                GroupLimit = Groups > 0 ? new(Groups, KeepGroups, GroupRanking.Max) : null,
                Renormalize = isSparseMixer || Select == RouterSelection.ExpertChoice ? Renormalization.Never : layer.Router.Renormalize,    // their weights say how sure a choice is
            },
            Dispatch = new() { Capacity = factor == 0 ? null : new() { Factor = factor, Scope = CapacityScope, Drop = Drop, Order = CapacityOrder } },
        };
    }

    /// <summary>The faults of the layers that these options make: the layer's own rules, said once.</summary>
    internal void CollectFaults(OptionFaults faults, TrainingOptions options)
    {
        faults.WhenUndefined(Select, "Router.Select");
        faults.When(options.Balance == BalanceMode.Bias && Select != RouterSelection.TopK,
            $"Balance is Bias, but Router.Select is {Select}; a bias moves only the choice of TopK. Balance by Loss or None.");
        faults.When(Groups < 0, $"Router.Groups is {Groups}; set it to 0 (no groups) or more.");
        faults.When(!(CapacityFactor >= 0), $"Router.CapacityFactor is {CapacityFactor}; set it to 0 (nothing is dropped) or more.");
        if (!Enum.IsDefined(Select) || !(CapacityFactor >= 0)) return;

        options.Route(options.Model.MoeLayer, vocabularySize: 1, moeLayers: 1).CollectFaults(faults);
    }

    private Selection Selection(int vocabularySize) => Select switch
    {
        RouterSelection.TokenTable => new Selection.TokenTable(vocabularySize),
        RouterSelection.Random => new Selection.Random(),
        RouterSelection.RoundRobin => new Selection.RoundRobin(),
        RouterSelection.ExpertChoice => new Selection.ExpertChoice(),
        RouterSelection.SparseMixer => new Selection.SparseMixer(),
        RouterSelection.Sinkhorn => new Selection.Sinkhorn(),
        RouterSelection.QuantileBalance => new Selection.QuantileBalance(),
        _ => new Selection.TopK(),
    };
}

/// <summary>The selections that a model can be trained with; see <see cref="Selection"/>.</summary>
public enum RouterSelection
{
    /// <summary>Each token takes the K experts of highest score.</summary>
    TopK,

    /// <summary>The experts of a token are looked up by its id.</summary>
    TokenTable,

    /// <summary>Each expert takes the tokens of highest score.</summary>
    ExpertChoice,

    /// <summary>Two experts by SparseMixer, sampled in training.</summary>
    SparseMixer,

    /// <summary>Top-k of doubly normalised scores in training.</summary>
    Sinkhorn,

    /// <summary>Top-k of logits minus a bias that follows the quantiles of the load.</summary>
    QuantileBalance,

    /// <summary>Experts drawn at random: what routing is worth.</summary>
    Random,

    /// <summary>Experts in turn: what routing is worth, at an even load.</summary>
    RoundRobin,
}
