using System.Text.Json;

namespace MoeSharp;

/// <summary>The fields of "dispatch". Its kind says what limits the experts and, where nothing does, whether the dense backend computes them.</summary>
internal static class DispatchJson
{
    private static readonly Words<Kind> Kinds = new(("dropless", Kind.Dropless), ("dense", Kind.Dense), ("capacity", Kind.Capacity));

    private enum Kind
    {
        Dropless,
        Dense,
        Capacity,
    }

    public static (DispatchOptions Dispatch, ExpertBackend Backend) Read(ObjectReader dispatch)
    {
        var kind = dispatch.Word("kind", Kinds);
        dispatch.OnlyWith("capacity", "kind", "capacity", kind == Kind.Capacity);
        dispatch.OnlyWith("ragged_buffer", "kind", "dropless", kind == Kind.Dropless);
        dispatch.When(kind == Kind.Capacity && !dispatch.IsGiven("capacity"), "capacity", "is missing; expected an object, because kind is capacity.");

        var options = new DispatchOptions
        {
            Capacity = dispatch.ObjectOrNull("capacity", ReadCapacity),
            RaggedBuffer = dispatch.ObjectOrNull("ragged_buffer", ReadRaggedBuffer),
        };
        return (options, kind == Kind.Dense ? ExpertBackend.Dense : ExpertBackend.Auto);
    }

    public static void Write(Utf8JsonWriter json, DispatchOptions options, ExpertBackend backend)
    {
        var kind = options.Capacity is not null ? Kind.Capacity
            : backend == ExpertBackend.Dense && options.RaggedBuffer is null ? Kind.Dense
            : Kind.Dropless;

        json.WriteString("kind", Kinds.For(kind));
        json.WriteObject("capacity", options.Capacity, WriteCapacity);
        json.WriteObject("ragged_buffer", options.RaggedBuffer, WriteRaggedBuffer);
    }

    private static CapacityOptions ReadCapacity(ObjectReader capacity)
    {
        var options = new CapacityOptions
        {
            Factor = capacity.NumberOrNull("factor"),
            Slots = capacity.IntegerOrNull("fixed"),
            MinimumSlots = capacity.Integer("min_slots", 0),
            Rounding = capacity.Word("rounding", OptionWords.Rounding),
            Scope = capacity.Word("scope", OptionWords.SlotScope),
            Subsequences = capacity.Integer("subsequences", 1),
            Drop = capacity.Word("drop", OptionWords.Drop),
            Order = capacity.Word("order", OptionWords.SlotOrder),
            Pad = capacity.Flag("pad"),
        };

        capacity.When(options is { Factor: null, Slots: null }, "factor", "is missing; give it, or the slots themselves as fixed.");
        capacity.When(options is { Factor: not null, Slots: not null }, "fixed", "is given beside factor; keep one of them.");
        CheckInformation(capacity, "slots_per_expert", options.Slots);
        return options;
    }

    private static RaggedBufferOptions ReadRaggedBuffer(ObjectReader buffer)
    {
        CheckInformation(buffer, "slots_per_shard", null);
        buffer.Word("order", OptionWords.BufferOrder);
        return new RaggedBufferOptions(buffer.Integer("shards"), buffer.Number("factor"));
    }

    /// <summary>Checks a number that follows from other fields and the size of the batch, and so is not kept.</summary>
    private static void CheckInformation(ObjectReader reader, string name, int? slots)
    {
        if (reader.IntegerOrNull(name) is not { } given || reader.HasFault(name)) return;

        reader.When(given < 0, name, $"is {given}; expected 0 or more.");
        reader.When(given >= 0 && slots is not null && slots != given && !reader.HasFault("fixed"), name, $"is {given}, but fixed is {slots}; leave one of them out.");
    }

    private static void WriteCapacity(Utf8JsonWriter json, CapacityOptions options)
    {
        json.WriteGiven("factor", options.Factor);
        json.WriteGiven("fixed", options.Slots);
        json.WriteUnless(0, "min_slots", options.MinimumSlots);
        json.WriteWord("rounding", OptionWords.Rounding, options.Rounding);
        json.WriteWord("scope", OptionWords.SlotScope, options.Scope);
        json.WriteUnless(1, "subsequences", options.Subsequences);
        json.WriteWord("drop", OptionWords.Drop, options.Drop);
        json.WriteWord("order", OptionWords.SlotOrder, options.Order);
        json.WriteFlag("pad", options.Pad);
    }

    private static void WriteRaggedBuffer(Utf8JsonWriter json, RaggedBufferOptions options)
    {
        json.WriteNumber("shards", options.Shards);
        json.WriteNumber("factor", options.Factor);
    }
}
