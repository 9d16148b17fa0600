using System.Text.Json;

namespace MoeSharp;

/// <summary>"select" and the fields beside it that belong to one selection each.</summary>
internal static class SelectionJson
{
    private static readonly Selection.TokenTable SizelessTable = new(0);     // its size is the caller's to fill in
    private static readonly Selection.SparseMixer SparseMixer = new();
    private static readonly Selection.Sinkhorn Sinkhorn = new();
    private static readonly Selection.QuantileBalance QuantileBalance = new();

    private static readonly Words<Kind> Kinds = new(
        ("top_k", Kind.TopK),
        ("token_table", Kind.TokenTable),
        ("sparsemixer", Kind.SparseMixer),
        ("expert_choice", Kind.ExpertChoice),
        ("random", Kind.Random),
        ("sinkhorn", Kind.Sinkhorn),
        ("quantile_balance", Kind.QuantileBalance),
        ("round_robin", Kind.RoundRobin),
        ("forced", Kind.Forced));

    private enum Kind
    {
        TopK,
        TokenTable,
        SparseMixer,
        ExpertChoice,
        Random,
        Sinkhorn,
        QuantileBalance,
        RoundRobin,
        Forced,
    }

    public static Selection Read(ObjectReader router)
    {
        var kind = router.Word("select", Kinds);
        router.OnlyWith("token_table", "select", "token_table", kind == Kind.TokenTable);
        router.OnlyWith("sparsemixer_jitter", "select", "sparsemixer", kind == Kind.SparseMixer);
        router.OnlyWith("sinkhorn", "select", "sinkhorn", kind == Kind.Sinkhorn);
        router.OnlyWith("quantile_balance", "select", "quantile_balance", kind == Kind.QuantileBalance);

        return kind switch
        {
            Kind.TokenTable => router.ObjectOr("token_table", SizelessTable, table => new Selection.TokenTable(table.Integer("vocabulary_size"))),
            Kind.SparseMixer => new Selection.SparseMixer(router.Number("sparsemixer_jitter", SparseMixer.Jitter)),
            Kind.ExpertChoice => new Selection.ExpertChoice(),
            Kind.Random => new Selection.Random(),
            Kind.Sinkhorn => router.ObjectOr("sinkhorn", Sinkhorn, ReadSinkhorn),
            Kind.QuantileBalance => router.ObjectOr("quantile_balance", QuantileBalance, balance => new(balance.Number("ema", QuantileBalance.Ema))),
            Kind.RoundRobin => new Selection.RoundRobin(),
            Kind.Forced => new Selection.Forced(),
            _ => new Selection.TopK(),
        };
    }

    public static void Write(Utf8JsonWriter json, Selection selection)
    {
        json.WriteWord("select", Kinds, KindOf(selection));
        switch (selection)
        {
            case Selection.TokenTable table when table != SizelessTable:
                json.WriteObject("token_table", table, (json, table) => json.WriteNumber("vocabulary_size", table.VocabularySize));
                break;
            case Selection.SparseMixer mixer:
                json.WriteUnless(SparseMixer.Jitter, "sparsemixer_jitter", mixer.Jitter);
                break;
            case Selection.Sinkhorn sinkhorn when sinkhorn != Sinkhorn:
                json.WriteObject("sinkhorn", sinkhorn, WriteSinkhorn);
                break;
            case Selection.QuantileBalance balance when balance != QuantileBalance:
                json.WriteObject("quantile_balance", balance, (json, balance) => json.WriteNumber("ema", balance.Ema));
                break;
        }
    }

    private static Kind KindOf(Selection selection) => selection switch
    {
        Selection.TokenTable => Kind.TokenTable,
        Selection.SparseMixer => Kind.SparseMixer,
        Selection.ExpertChoice => Kind.ExpertChoice,
        Selection.Random => Kind.Random,
        Selection.Sinkhorn => Kind.Sinkhorn,
        Selection.QuantileBalance => Kind.QuantileBalance,
        Selection.RoundRobin => Kind.RoundRobin,
        Selection.Forced => Kind.Forced,
        _ => Kind.TopK,
    };

    private static Selection.Sinkhorn ReadSinkhorn(ObjectReader sinkhorn) =>
        new(sinkhorn.Number("tolerance", Sinkhorn.Tolerance), sinkhorn.Number("epsilon", Sinkhorn.Epsilon));

    private static void WriteSinkhorn(Utf8JsonWriter json, Selection.Sinkhorn sinkhorn)
    {
        json.WriteUnless(Sinkhorn.Tolerance, "tolerance", sinkhorn.Tolerance);
        json.WriteUnless(Sinkhorn.Epsilon, "epsilon", sinkhorn.Epsilon);
    }
}
