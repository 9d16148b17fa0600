using System.Reflection;

namespace MoeSharp.Checkpoints;

/// <summary>The families that are known: the fields of this class, a file each.</summary>
internal static partial class ModelFamilies
{
    /// <summary>The family of a <c>model_type</c>; null when it is not known.</summary>
    public static ModelFamily? Find(string modelType) => Catalog.ByType.GetValueOrDefault(modelType);

    /// <summary>All families, by name.</summary>
    public static IEnumerable<ModelFamily> All => Catalog.ByType.Values.Distinct().OrderBy(family => family.Name, StringComparer.Ordinal);

    // a class of its own, so that it is filled after the fields
    private static class Catalog
    {
        public static readonly Dictionary<string, ModelFamily> ByType = typeof(ModelFamilies)
            .GetFields(BindingFlags.Static | BindingFlags.NonPublic)
            .Select(field => field.GetValue(null))
            .OfType<ModelFamily>()
            .SelectMany(family => family.ModelTypes, (family, type) => (family, type))
            .ToDictionary(entry => entry.type, entry => entry.family);
    }
}
