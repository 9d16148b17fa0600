using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace MoeSharp.Checkpoints;

/// <summary>From the keys of a <c>quantization_config</c> to <see cref="QuantizationConfig"/>, by method.</summary>
internal static class QuantizationConfigReader
{
    private const int LargestGroup = 1 << 24;

    private static readonly string[] FormatKeys = ["checkpoint_format", "format"];      // of GPTQ, written by some under one name, by some under both

    private static readonly QuantizationScheme Unread = new QuantizationScheme.Mxfp4();     // stands in where a fault was noted

    private static readonly Dictionary<string, Func<ConfigReader, IReadOnlyList<QuantizationGroup>>> Methods = new()
    {
        ["fp8"] = json => ForAll(Fp8(json)),
        ["mxfp4"] = _ => ForAll(new QuantizationScheme.Mxfp4()),
        ["compressed-tensors"] = CompressedTensorsReader.Read,
        ["gptq"] = json => ForAll(Gptq(json)),
        ["awq"] = json => ForAll(Awq(json)),
        ["bitsandbytes"] = json => ForAll(BitsAndBytes(json)),
        ["modelopt"] = ModelOpt,
    };

    public static QuantizationConfig Read(ConfigReader json)
    {
        string method = json.Text("quant_method", json.Find("load_in_4bit") is not null || json.Find("load_in_8bit") is not null ? "bitsandbytes" : "");
        bool isKnown = Methods.TryGetValue(method, out var read);
        json.Fault(method.Length == 0, "quant_method is absent; expected the name of a method.");
        json.Unsupported(method.Length > 0 && !isKnown, "quant_method", $"one of {string.Join(", ", Methods.Keys)}");

        string[] notConverted = [.. LeftOut(json), .. json.Texts("modules_to_not_convert"), .. json.Texts("ignored_layers"), .. json.Texts("ignore"), .. json.Texts("exclude_modules"), .. json.Texts("llm_int8_skip_modules")];
        CheckPatterns(json, notConverted);
        return new() { Method = method, Groups = isKnown ? read!(json) : [], NotConverted = notConverted };
    }

    // GPTQModel: rules of other values for some modules, of which only those that leave modules out can be read
    private static IEnumerable<string> LeftOut(ConfigReader json)
    {
        const string Out = "-:";
        string[] rules = json.Object("dynamic") is { } dynamic ? [.. dynamic.Keys] : [];
        string[] leftOut = [.. rules.Where(rule => rule.StartsWith(Out, StringComparison.Ordinal))];
        json.Unsupported(leftOut.Length < rules.Length, "dynamic", $"none but rules that leave modules out, after \"{Out}\"");
        return leftOut.Select(rule => $"re:{rule[Out.Length..]}");
    }

    /// <summary>Notes a fault for patterns that cannot be matched.</summary>
    public static void CheckPatterns(ConfigReader json, IEnumerable<string> names)
    {
        foreach (string name in names.Where(name => name.StartsWith("re:", StringComparison.Ordinal)))
        {
            try
            {
                _ = new Regex(ModuleNames.Translate(name[3..]));
            }
            catch (ArgumentException e)
            {
                json.Fault(true, $"{TensorName.Quote(name)} is no pattern: {e.Message}");
            }
        }
    }

    /// <summary>Two sizes of a block; null when the key is absent or null.</summary>
    public static (int Rows, int Columns)? Block(ConfigReader json, string key)
    {
        var sizes = json.Find(key)?.ValueKind == JsonValueKind.String ? SizesIn(json.Text(key, "")) : json.Integers(key);
        if (sizes.Count == 0) return null;

        bool isBlock = sizes is [>= 1 and <= LargestGroup, >= 1 and <= LargestGroup];
        json.Unsupported(!isBlock, key, "two sizes of 1 or more");
        return isBlock ? (sizes[0], sizes[1]) : null;
    }

    // "128x128"
    private static int[] SizesIn(string text) => [.. text.Split('x').Select(size => int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : 0)];

    /// <summary>Inputs of a group; null for all, which some say by -1.</summary>
    public static int? GroupSize(ConfigReader json, string key) => json.OptionalInteger(key, -1, LargestGroup) is > 0 and { } size ? size : null;

    private static IReadOnlyList<QuantizationGroup> ForAll(QuantizationScheme scheme) => [new([], scheme)];

    private static QuantizationScheme.Fp8 Fp8(ConfigReader json)
    {
        json.Unsupported(json.Text("fmt", "e4m3") is not ("e4m3" or "float8_e4m3fn" or "e5m2"), "fmt", "\"e4m3\" or \"e5m2\"");
        json.Unsupported(json.Find("scale_fmt") is not null && json.Text("scale_fmt", "ue8m0") is not ("ue8m0" or "float"), "scale_fmt", "\"ue8m0\" or none");
        string experts = json.Find("expert_dtype") is null ? "fp8" : json.Text("expert_dtype", "fp8");
        json.Unsupported(experts is not ("fp8" or "fp4"), "expert_dtype", "\"fp8\" or \"fp4\"");
        json.Unsupported(json.Find("weight_scale_semantics") is not null, "weight_scale_semantics", "none: scales multiply");
        return Block(json, "weight_block_size") is var (rows, columns) ? new(Fp8Scales.Block, rows, columns)
            : new(json.Keys.Contains("weight_block_size") ? Fp8Scales.TensorOrChannel : null);
    }

    private static QuantizationScheme.Gptq Gptq(ConfigReader json)
    {
        int bits = Bits(json, "bits", absent: 4, 2, 4, 8);
        string[] keys = [.. FormatKeys.Where(key => json.Find(key) is not null)], formats = [.. keys.Select(key => json.Text(key, "gptq"))];
        foreach (var (key, format) in keys.Zip(formats)) json.Unsupported(format is not ("gptq" or "gptq_v2"), key, "\"gptq\" or \"gptq_v2\"");
        json.Fault(formats.Distinct().Count() > 1, $"checkpoint_format and format are {string.Join(" and ", formats)}; expected the same.");
        json.Unsupported(json.Find("pack_dtype") is not null && json.Text("pack_dtype", "int32") is not "int32", "pack_dtype", "\"int32\"");
        return new(bits, GroupSize(json, "group_size"), formats is not ["gptq_v2", ..]) { HasGroupIndex = json.Flag("desc_act", false) };
    }

    private static QuantizationScheme.Awq Awq(ConfigReader json)
    {
        foreach (string key in (string[])["bits", "w_bit"]) Bits(json, key, absent: 4, 4);
        foreach (string key in (string[])["version", "format", "checkpoint_format"])
            json.Unsupported(json.Find(key) is not null && !json.Text(key, "gemm").Equals("gemm", StringComparison.OrdinalIgnoreCase), key, "\"gemm\"");
        json.Unsupported(!json.Flag("zero_point", true), "zero_point", "true");
        return new(GroupSize(json, json.Find("q_group_size") is null ? "group_size" : "q_group_size"));
    }

    private static QuantizationScheme.BitsAndBytes BitsAndBytes(ConfigReader json)
    {
        bool is8 = json.Flag("load_in_8bit", false), is4 = json.Flag("load_in_4bit", false);
        json.Fault(is8 == is4, $"load_in_8bit and load_in_4bit are {(is8 ? "both true" : "both false")}; expected one of them.");
        string kind = json.Text("bnb_4bit_quant_type", "fp4");
        json.Unsupported(is4 && kind is not ("nf4" or "fp4"), "bnb_4bit_quant_type", "\"nf4\" or \"fp4\"");
        return new(is8 ? BitsAndBytesKind.Int8 : kind == "nf4" ? BitsAndBytesKind.Nf4 : BitsAndBytesKind.Fp4);
    }

    private static IReadOnlyList<QuantizationGroup> ModelOpt(ConfigReader json)
    {
        string algorithm = json.Text("quant_algo", "");
        json.Fault(algorithm.Length == 0, "quant_algo is absent; expected the name of an algorithm.");
        json.Unsupported(algorithm is not ("" or "NVFP4" or "FP8" or "FP8_PER_CHANNEL_PER_TOKEN" or "FP8_PB_WO"), "quant_algo", "\"NVFP4\", \"FP8\", \"FP8_PER_CHANNEL_PER_TOKEN\" or \"FP8_PB_WO\"");
        json.Unsupported(json.Integer("group_size", 16, 1, LargestGroup) != 16 && algorithm == "NVFP4", "group_size", "16");
        return ForAll(algorithm switch
        {
            "NVFP4" => new QuantizationScheme.Nvfp4(),
            "FP8" => new QuantizationScheme.Fp8(Fp8Scales.TensorOrChannel),
            "FP8_PER_CHANNEL_PER_TOKEN" => new QuantizationScheme.Fp8(Fp8Scales.Channel),
            "FP8_PB_WO" => new QuantizationScheme.Fp8(Fp8Scales.Block),
            _ => Unread,
        });
    }

    /// <summary>A number of bits out of those that can be read.</summary>
    public static int Bits(ConfigReader json, string key, int absent, params ReadOnlySpan<int> supported)
    {
        int bits = json.Integer(key, absent, 1, 16);
        bool isSupported = supported.Contains(bits);
        json.Unsupported(!isSupported && json.Find(key) is not null, key, string.Join(" or ", supported.ToArray()));
        return isSupported ? bits : supported[0];
    }
}
